//! A log to be tampered with, and what it is tampered with.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use countersign_domain::audit::{
    By, Details, Draft, Hash, Ink, Kind, Mark, MarkKind, Personal, Salt, Sealed, link,
};
use countersign_domain::email::Email;
use countersign_domain::password::Scheme;
use countersign_domain::root_secret::RootSecret;
use countersign_domain::rotation::RotationPolicy;
use countersign_domain::{EventId, SessionId, UserId};
use countersign_flows::clock::ManualClock;
use countersign_flows::hashing::PoolSettings;
use countersign_flows::random::SeededRandom;
use countersign_flows::{Flows, LimitPolicy, Policy, Role, Secrets};
use countersign_store::{Act, Actor, Audit, Link, NewUser, Users};
use countersign_store_sql::{Database, SqlStore};
use countersign_token::Algorithm;
use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::Fresh;

const SECRET: u8 = 7;

pub(crate) fn ink(secret: u8) -> Arc<Ink> {
    Arc::new(Ink::derive(&RootSecret::new(vec![secret; 32])))
}

pub(crate) fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::try_from(second).unwrap()).unwrap()
}

/// The log of an installation, with the server that it belongs to.
pub(crate) struct Log {
    pub(crate) flows: Flows,
    pub(crate) store: SqlStore,
    pub(crate) ink: Arc<Ink>,
    pub(crate) raw: Raw,
    fresh: Fresh,
    /// The events that have their places, in order.
    pub(crate) sealed: Vec<Sealed>,
    /// Those that have none yet.
    pub(crate) waiting: Vec<EventId>,
    /// Every head that there has been, in order; the last one is in force.
    pub(crate) heads: Vec<Mark>,
    /// Every cut that there has been; the last one is in force.
    pub(crate) cuts: Vec<Mark>,
    pub(crate) checkpoints: Vec<Mark>,
    /// A user who was not erased.
    pub(crate) user: UserId,
}

/// The shape of a log.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// How many events each batch gives their places.
    pub(crate) batches: Vec<u64>,
    /// After which batches there is a checkpoint.
    pub(crate) checkpoints: Vec<usize>,
    /// How many events are cut off at a time.
    pub(crate) cuts: Vec<u64>,
    /// How many events wait for their places.
    pub(crate) waiting: u64,
}

impl Log {
    pub(crate) async fn build(fresh: Fresh, shape: &Shape) -> Self {
        let store = fresh.connect().await;
        store.migrate().await.unwrap();
        let flows = open(&store, 1).await;
        let ink = ink(SECRET);
        let raw = Raw::connect(&fresh.database).await;
        let (user, erased) = (user(&store, &ink, 1).await, user(&store, &ink, 2).await);
        let mut log = Self {
            flows,
            store,
            ink,
            raw,
            fresh,
            sealed: Vec::new(),
            waiting: Vec::new(),
            heads: Vec::new(),
            cuts: Vec::new(),
            checkpoints: Vec::new(),
            user,
        };
        let mut n = 10;
        for (batch, events) in shape.batches.iter().enumerate() {
            // The events of the registrations are in the first one.
            let more = if batch == 0 { 2 } else { *events };
            for _ in 2..more.max(2) {
                log.append(n, erased).await;
                n += 1;
            }
            if batch > 0 {
                for _ in 0..2 {
                    log.append(n, erased).await;
                    n += 1;
                }
            }
            log.seal(shape.checkpoints.contains(&batch)).await;
        }
        let act = log.act(n);
        log.store.delete_user(erased, None, &act).await.unwrap();
        log.seal(false).await;
        for _ in 0..shape.waiting {
            n += 1;
            log.append(n, erased).await;
        }
        let waiting = log.store.unsealed_events(None, 1000).await.unwrap();
        log.waiting = waiting.iter().map(|row| row.id).collect();
        let sealed = log.store.sealed_events(0, 1000).await.unwrap();
        log.sealed = sealed.into_iter().map(|(sealed, _)| sealed).collect();
        for cut in &shape.cuts {
            log.cut(*cut).await;
        }
        log.raw.save().await;
        log
    }

    /// One more instance over the database.
    pub(crate) async fn another(&self) -> Flows {
        open(&self.fresh.connect().await, 2).await
    }

    /// An event of each sort in turn: about somebody, about somebody who will be erased, about nobody.
    async fn append(&self, n: u64, erased: UserId) {
        let mut draft = draft(n);
        draft.user = match n % 3 {
            0 => Some(self.user),
            1 => Some(erased),
            _ => None,
        };
        draft.session = n.is_multiple_of(2).then(|| SessionId::new([9; 16]));
        draft.reason = (!n.is_multiple_of(4)).then_some("invalid_credentials");
        if n.is_multiple_of(5) {
            draft.personal = Personal::default();
        }
        self.store.append_events(&[draft], &self.ink).await.unwrap();
    }

    fn act(&self, n: u64) -> Act {
        Act {
            actor: Actor::Trusted,
            now: at(n),
            tokens_until: at(n),
            draft: Draft {
                kind: Kind::UserDeleted,
                ..draft(n)
            },
            ink: Arc::clone(&self.ink),
            asker: None,
        }
    }

    /// As the server does, but with checkpoints wherever a test wants them.
    async fn seal(&mut self, checkpoint: bool) {
        let after = self.heads.last().cloned();
        let (mut position, mut hash) = after
            .as_ref()
            .map_or((0, [0; 32]), |h| (h.position, h.hash));
        let rows = self.store.unsealed_events(None, 1000).await.unwrap();
        let mut links = Vec::new();
        for row in rows {
            position += 1;
            hash = link(&hash, position, &row.digest());
            links.push(Link {
                id: row.id,
                position,
                hash,
            });
        }
        let head = self.mark(MarkKind::Head, position, hash);
        let checkpoint = checkpoint.then(|| self.mark(MarkKind::Checkpoint, position, hash));
        let sealing = self
            .store
            .seal_events(after.as_ref(), &links, &head, checkpoint.as_ref());
        assert!(sealing.await.unwrap());
        self.heads.push(head);
        self.checkpoints.extend(checkpoint);
    }

    async fn cut(&mut self, events: u64) {
        let index = usize::try_from(events).unwrap() - 1;
        let last = &self.sealed[index];
        let cut = self.mark(MarkKind::Cut, last.position, last.hash);
        let cutting = self.store.cut_events(self.cuts.last(), &cut);
        assert!(cutting.await.unwrap());
        self.sealed.drain(..=index);
        self.checkpoints.retain(|mark| mark.position > cut.position);
        self.cuts.push(cut);
    }

    pub(crate) fn mark(&self, kind: MarkKind, position: u64, hash: Hash) -> Mark {
        self.ink.mark(kind, position, hash, at(1000))
    }

    pub(crate) fn head(&self) -> &Mark {
        self.heads.last().unwrap()
    }

    /// The position behind which the log begins.
    pub(crate) fn begin(&self) -> u64 {
        self.cuts.last().map_or(0, |cut| cut.position)
    }
}

pub(crate) fn draft(n: u64) -> Draft {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    let mut details = Details::new();
    details.insert("n".to_owned(), n.into());
    Draft {
        id: EventId::new(at(n), random),
        at: at(n),
        kind: Kind::LoginFailed,
        reason: None,
        by: By::Anybody,
        user: None,
        session: None,
        personal: Personal {
            ip: Some([192, 0, 2, 7].into()),
            user_agent: Some("audit/1".to_owned()),
            request_id: Some(format!("request {n}")),
        },
        details,
    }
}

async fn user(store: &SqlStore, ink: &Arc<Ink>, n: u8) -> UserId {
    let id = UserId::new(at(0), [n; 10]);
    let email = Email::parse(&format!("user{n}@example.org")).unwrap();
    let new = NewUser {
        id,
        email: email.as_typed().to_owned(),
        email_key: email.key().clone(),
        password_hash: None,
        name: None,
        roles: Vec::new(),
        email_verified_at: None,
        audit_salt: Salt([n; 16]),
    };
    let act = Act {
        actor: Actor::Trusted,
        now: at(0),
        tokens_until: at(0),
        draft: Draft {
            kind: Kind::UserRegistered,
            ..draft(u64::from(n))
        },
        ink: Arc::clone(ink),
        asker: None,
    };
    store.create_user(&new, &act).await.unwrap();
    id
}

async fn open(store: &SqlStore, seed: u64) -> Flows {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let policy = Policy {
        issuer: "https://auth.example.org".to_owned(),
        audience: "https://api.example.org".to_owned(),
        algorithm: Algorithm::EdDsa,
        access_lifetime: SignedDuration::from_mins(15),
        rotation: RotationPolicy {
            grace: SignedDuration::from_secs(30),
            idle: days(30),
        },
        session_lifetime: days(90),
        limits: LimitPolicy::default(),
        audit_retention: None,
        audit_refreshes: true,
    };
    let flows = Flows::open(
        Role::Operator,
        Arc::new(store.clone()),
        Arc::new(ManualClock::new(at(2000))),
        Arc::new(SeededRandom::new(seed)),
        policy,
        Secrets {
            root: RootSecret::new(vec![SECRET; 32]),
            hs256: None,
        },
        PoolSettings {
            scheme: Scheme::Bcrypt { cost: 4 },
            workers: NonZeroUsize::MIN,
            lanes: NonZeroUsize::MIN,
            longest_wait: Duration::from_secs(60),
        },
    );
    flows.await.unwrap()
}

/// A connection past the server, in the SQL of either engine.
pub(crate) enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    async fn connect(database: &Database) -> Self {
        match database {
            Database::Sqlite(path) => {
                let url = format!("sqlite://{}", path.display());
                Self::Sqlite(SqliteConnection::connect(&url).await.unwrap())
            }
            Database::Postgres(url) => Self::Postgres(PgConnection::connect(url).await.unwrap()),
            Database::SqliteInMemory => unreachable!("nobody else can open it"),
        }
    }

    /// Runs statements, all or none.
    pub(crate) async fn run(&mut self, sql: &str) {
        let all = format!("BEGIN; {sql}; COMMIT;");
        let statements = sqlx::raw_sql(AssertSqlSafe(all));
        let outcome = match self {
            Self::Sqlite(connection) => statements.execute(connection).await.err(),
            Self::Postgres(connection) => statements.execute(connection).await.err(),
        };
        assert!(outcome.is_none(), "{outcome:?} after {sql}");
    }

    /// How bytes are written in a statement.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sqlite(_) => format!("x'{hex}'"),
            Self::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    /// How an id is written in a statement.
    pub(crate) fn id(&self, id: uuid::Uuid) -> String {
        match self {
            Self::Sqlite(_) => self.bytes(id.as_bytes()),
            Self::Postgres(_) => format!("'{id}'::uuid"),
        }
    }

    /// How a moment is written in a statement.
    pub(crate) fn time(&self, at: Timestamp) -> String {
        match self {
            Self::Sqlite(_) => at.as_microsecond().to_string(),
            Self::Postgres(_) => format!("'{at}'::timestamptz"),
        }
    }

    async fn save(&mut self) {
        self.run(
            "CREATE TABLE saved_events AS SELECT * FROM audit_events;
             CREATE TABLE saved_marks AS SELECT * FROM audit_marks;
             CREATE TABLE saved_salts AS SELECT id, audit_salt FROM users",
        )
        .await;
    }

    /// Puts everything back as it was.
    pub(crate) async fn restore(&mut self) {
        self.run(
            "DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM saved_events;
             DELETE FROM audit_marks; INSERT INTO audit_marks SELECT * FROM saved_marks;
             UPDATE users SET audit_salt = (SELECT audit_salt FROM saved_salts WHERE saved_salts.id = users.id)",
        )
        .await;
    }
}
