//! What the cases are made of. Times are fixed, ids counted.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use countersign_domain::audit::{By, Details, Draft, Ink, Kind, Personal, Salt};
use countersign_domain::email::Email;
use countersign_domain::password::PasswordHash;
use countersign_domain::refresh_token::Presented;
use countersign_domain::root_secret::RootSecret;
use countersign_domain::rotation::{Dead, EndReason, RotationPolicy};
use countersign_domain::{EventId, SessionId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Act, Actor, Announced, Announcement, Created, Ended, NewSession, NewUser, Opened,
    RefreshOutcome, Refreshed, Session, SignInProof, Store, Subject, User,
};

/// Half a minute of grace, an hour without use.
pub const POLICY: RotationPolicy = RotationPolicy {
    grace: SignedDuration::from_secs(30),
    idle: SignedDuration::from_hours(1),
};
/// How long a session lives in any case, in seconds.
pub const ABSOLUTE: i64 = 4 * 3600;
/// How long an access token lives, in seconds.
const TOKEN: i64 = 900;

/// A moment, with a fraction of a second that every backend can keep.
pub fn at(second: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + second, 123_456_000).unwrap()
}

/// When tokens issued before `now` will have expired.
pub fn until(now: Timestamp) -> Timestamp {
    now + SignedDuration::from_secs(TOKEN)
}

pub fn next() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Something that is done by an actor; its event is of no particular kind.
pub fn act(actor: Actor, now: Timestamp, tokens_until: Timestamp) -> Act {
    let mut random = [0; 10];
    random[2..].copy_from_slice(&next().to_be_bytes());
    let draft = Draft {
        id: EventId::new(now, random),
        at: now,
        kind: Kind::UserChanged,
        reason: None,
        by: By::Server,
        user: None,
        session: None,
        personal: Personal {
            ip: Some(IpAddr::from([192, 0, 2, 7])),
            user_agent: Some("contract/1".to_owned()),
            request_id: Some("request".to_owned()),
        },
        details: Details::new(),
    };
    Act {
        actor,
        now,
        tokens_until,
        draft,
        ink: ink(),
        asker: None,
    }
}

/// What all events of the contract are written with.
pub fn ink() -> Arc<Ink> {
    static INK: OnceLock<Arc<Ink>> = OnceLock::new();
    let derive = || Arc::new(Ink::derive(&RootSecret::new(vec![7; 32])));
    Arc::clone(INK.get_or_init(derive))
}

/// The `n`th password hash: a well-formed string that no password fits.
pub fn hash(n: u64) -> PasswordHash {
    PasswordHash::parse(&format!("$2b$04$......................{n:0>30}.")).unwrap()
}

pub fn session_id() -> SessionId {
    let mut bytes = [0xa5; 16];
    // Not in the first half, where the version takes four bits away from the number.
    bytes[8..].copy_from_slice(&next().to_be_bytes());
    SessionId::new(bytes)
}

pub fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

/// A user to be created, with password hash 1 and an address of its own.
pub fn new_user(now: Timestamp) -> NewUser {
    let n = next();
    let email = email(&format!("User.{n}@Example.org"));
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n.to_be_bytes());
    NewUser {
        id: UserId::new(now, random),
        email: email.as_typed().to_owned(),
        email_key: email.key().clone(),
        password_hash: Some(hash(1)),
        name: Some("Zoë \u{1f511}".to_owned()),
        roles: vec!["reader".to_owned(), "wr\"iter".to_owned()],
        email_verified_at: None,
        audit_salt: Salt([7; 16]),
    }
}

pub async fn create<S: Store>(store: &S, new: &NewUser, now: Timestamp) -> User {
    match store
        .create_user(new, &act(Actor::Trusted, now, until(now)))
        .await
        .unwrap()
    {
        Created::Created(user) => user,
        Created::EmailTaken => panic!("the address {} is taken", new.email),
    }
}

/// A user with password hash 1, registered at second 0.
pub async fn user<S: Store>(store: &S) -> User {
    create(store, &new_user(at(0)), at(0)).await
}

pub fn new_session(user: UserId, now: Timestamp) -> NewSession {
    NewSession {
        id: session_id(),
        user_id: user,
        idle_expires_at: now + POLICY.idle,
        expires_at: now + SignedDuration::from_secs(ABSOLUTE),
        ip: Some(IpAddr::from([192, 0, 2, 7])),
        user_agent: Some("contract/1".to_owned()),
        amr: vec!["pwd".to_owned()],
    }
}

/// The proof of a sign-in that checked password hash `n`.
pub fn proof(n: u64) -> SignInProof {
    SignInProof {
        password_hash: hash(n).as_str().to_owned(),
        rehash: None,
    }
}

/// Opens a session for a user whose password hash is the first.
pub async fn open<S: Store>(store: &S, user: UserId, now: Timestamp) -> Session {
    let new = new_session(user, now);
    match store
        .open_session(&new, &proof(1), &act(Actor::Trusted, now, until(now)))
        .await
        .unwrap()
    {
        Opened::Opened(session, ..) => session,
        Opened::ProofStale => panic!("the proof is stale"),
    }
}

pub async fn refresh<S: Store>(
    store: &S,
    session: SessionId,
    generation: u32,
    now: Timestamp,
) -> RefreshOutcome {
    let presented = Presented {
        session,
        generation,
    };
    let outcome = store
        .refresh(presented, &POLICY, &act(Actor::Trusted, now, until(now)))
        .await;
    outcome.unwrap()
}

/// Refreshes where nothing else than going on is right.
pub async fn refreshed<S: Store>(
    store: &S,
    session: SessionId,
    generation: u32,
    now: Timestamp,
) -> Refreshed {
    match refresh(store, session, generation, now).await {
        RefreshOutcome::Refreshed(refreshed) => *refreshed,
        other => panic!("{other:?}"),
    }
}

/// Asserts that a session is over, and that the event that ended it is named.
pub fn assert_dead(outcome: &RefreshOutcome, why: Dead, ended_by: Option<EventId>) {
    match outcome {
        RefreshOutcome::Dead { dead, event, .. } => assert_eq!((*dead, *event), (why, ended_by)),
        other => panic!("{other:?}"),
    }
}

/// Ends a session as its own sign-out.
pub async fn logout<S: Store>(store: &S, session: SessionId, now: Timestamp) -> Vec<Announcement> {
    let reason = EndReason::Logout;
    let doing = act(Actor::Trusted, now, until(now));
    let ended = store.end_session(session, None, reason, &doing);
    match ended.await.unwrap() {
        Ended::Ended(announcements) => announcements,
        other => panic!("{other:?}"),
    }
}

pub async fn reason<S: Store>(store: &S, session: SessionId) -> Option<EndReason> {
    store.session(session).await.unwrap().unwrap().state.ended
}

/// All live announcements at second 0, which is before any of a case expires.
pub async fn announced<S: Store>(store: &S) -> Vec<Announced> {
    store.announcements_after(0, at(0)).await.unwrap()
}

/// The sessions among the announcements, in order.
pub async fn announced_sessions<S: Store>(store: &S) -> Vec<SessionId> {
    let subjects = announced(store).await.into_iter();
    subjects
        .filter_map(|announced| match announced.announcement.subject {
            Subject::Session(id) => Some(id),
            _ => None,
        })
        .collect()
}

/// The subjects of announcements.
pub fn subjects(announcements: &[Announcement]) -> Vec<Subject> {
    announcements.iter().map(|one| one.subject).collect()
}

/// Asserts that two lists hold the same, in whatever order.
pub fn assert_same<T: std::fmt::Debug>(left: &[T], right: &[T]) {
    let texts = |list: &[T]| {
        let mut texts: Vec<_> = list.iter().map(|one| format!("{one:?}")).collect();
        texts.sort();
        texts
    };
    assert_eq!(texts(left), texts(right));
}

/// Has both stores open the connections that a race needs, so that opening them does not spread it
/// out in time.
pub async fn warm<S: Store>(a: &Arc<S>, b: &Arc<S>) {
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { a } else { b });
            tokio::spawn(async move {
                for _ in 0..8 {
                    store.ping().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Lets others run a few times; how often depends on `seed` alone.
pub async fn wander(seed: u64) {
    // The constants of Knuth's MMIX generator.
    let mixed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    for _ in 0..(mixed >> 33) % 24 {
        tokio::task::yield_now().await;
    }
}
