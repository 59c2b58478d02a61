//! Wiring: from settings to a store and the use cases over it. The only place that names concrete
//! backends.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use countersign_domain::password::Scheme;
use countersign_domain::root_secret::RootSecret;
use countersign_domain::rotation::RotationPolicy;
use countersign_flows::clock::{Clock, SharedClock, SystemClock};
use countersign_flows::hashing::PoolSettings;
use countersign_flows::keys::SigningSecret;
use countersign_flows::random::{self, SystemRandom};
use countersign_flows::{Counting, Flows, LimitPolicy, Policy, Role, Secrets};
use countersign_store::{Store, StoreError};
use countersign_store_redis::{RedisStore, Settings as RedisSettings};
use countersign_store_sql::{Database as SqlDatabase, Pools, SchemaState, SqlStore, Standing};
use countersign_token::Algorithm;
use jiff::SignedDuration;

use crate::data_dir;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings::{Database, PasswordHasher, RootSecretSource, Settings, Signing};

/// How long a command that is done tries to tell Redis what is left to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Opens the database, whatever its schema, unless that no longer serves this binary.
pub async fn connect(settings: &Settings) -> Result<SqlStore, Failure> {
    let database = match &settings.database {
        Database::Sqlite { path } => {
            data_dir::prepare(&settings.data_dir)?;
            SqlDatabase::Sqlite(path.clone())
        }
        Database::Postgres { url } => SqlDatabase::Postgres(url.expose().to_owned()),
    };
    let pools = Pools {
        max_connections: settings.database_max_connections,
    };
    Ok(SqlStore::connect(&database, pools).await?)
}

/// Insists that the schema is up to date. Only `serve` and `migrate` change it: an operator's
/// command may be of another version, or have other settings, than the servers.
pub async fn current_schema(store: &SqlStore) -> Result<(), Failure> {
    match store.schema().await? {
        SchemaState::Current => Ok(()),
        SchemaState::Ahead { database, binary } => {
            tracing::warn!("{}", ahead(database, binary));
            Ok(())
        }
        SchemaState::Behind { pending } => {
            let migrations = if pending == 1 {
                "migration"
            } else {
                "migrations"
            };
            let message = format!(
                "the database lacks {pending} {migrations}: run `countersign migrate`, or start the server with \
                 `COUNTERSIGN_MIGRATE=auto`"
            );
            Err(Failure::with(Exit::Settings, message))
        }
    }
}

/// What to know, and do, where a newer version has migrated the database.
pub fn ahead(database: i64, binary: i64) -> String {
    format!(
        "the database has schema {database}, this version knows {binary} and is still served: replace it by the newer \
         version when you can"
    )
}

/// Insists that the database is the one to be served: neither moved away nor only partly here.
pub async fn may_be_served(store: &SqlStore) -> Result<(), Failure> {
    let message = match store.standing(SystemClock.now()).await? {
        Standing::Open | Standing::Closing => return Ok(()),
        Standing::Moved { to } => format!(
            "this installation has moved to `{to}`: set `DATABASE_URL` to that database; `countersign store reopen` takes the move back"
        ),
        Standing::Unfinished { from } => format!(
            "this database is moved to from `{from}`, and not everything is here yet: run the same `countersign store copy` again, which \
             goes on where it stopped"
        ),
    };
    Err(Failure::with(Exit::Settings, message))
}

/// Puts Redis before the database, where the settings name one.
pub async fn with_redis(
    settings: &Settings,
    store: &SqlStore,
) -> Result<Option<Arc<RedisStore>>, Failure> {
    let Some(settings) = redis(settings) else {
        return Ok(None);
    };
    let store = RedisStore::open(store.clone(), settings).await?;
    Ok(Some(Arc::new(store)))
}

/// How the settings want Redis used.
pub fn redis(settings: &Settings) -> Option<RedisSettings> {
    let url = settings.redis.clone()?;
    let mut redis = RedisSettings::new(url, random::bytes(&SystemRandom));
    redis.ca_file = settings.redis_ca_file.clone();
    Some(redis)
}

/// Opens the use cases over the database alone, whose schema is ready, to look at it. Servers with Redis would only follow
/// what is changed so.
pub async fn open(role: Role, settings: &Settings, store: SqlStore) -> Result<Flows, Failure> {
    let over = Arc::new(store.clone());
    open_over(role, settings, &store, over, Arc::default()).await
}

/// Opens the use cases over what stands before the database, whose schema is ready.
pub async fn open_over(
    role: Role,
    settings: &Settings,
    store: &SqlStore,
    over: Arc<dyn Store>,
    clock: Arc<SharedClock>,
) -> Result<Flows, Failure> {
    let random = SystemRandom;
    let root = root_secret(settings, store, &random).await?;
    let hs256 = match &settings.signing {
        Signing::Hs256(secret) => Some(SigningSecret::new(secret.expose().as_bytes().to_vec())),
        _ => None,
    };
    let secrets = Secrets { root, hs256 };
    set_clock(&clock, store).await?;
    let random = Arc::new(random);
    let flows = Flows::open(
        role,
        over,
        clock,
        random,
        policy(settings),
        secrets,
        pool(settings),
    );
    Ok(flows.await?)
}

/// Sets the clock by the database's.
pub async fn set_clock(clock: &SharedClock, store: &SqlStore) -> Result<(), StoreError> {
    let asked = clock.machine();
    let Some(shared) = store.time().await? else {
        return Ok(());
    };
    if let Some(ahead) = clock.compare(asked, shared) {
        let seconds = ahead.as_secs();
        tracing::warn!(
            seconds,
            "this machine's clock is wrong, or the database's: the database's counts, which is ahead by so much"
        );
    }
    Ok(())
}

/// The root secret; made only where the database does not belong to one yet. After a restore
/// without the file, a new one would only hide what is missing.
async fn root_secret(
    settings: &Settings,
    store: &SqlStore,
    random: &SystemRandom,
) -> Result<RootSecret, Failure> {
    if settings.root_secret == RootSecretSource::DataFolder
        && data_dir::read(&settings.data_dir)?.is_none()
        && store.has_root_secret().await?
    {
        let message = format!(
            "the root secret that this database belongs to is missing: put `root-secret` back into `{}`, or set \
             `COUNTERSIGN_SECRET`",
            settings.data_dir.display()
        );
        return Err(Failure::with(Exit::Settings, message));
    }
    Ok(data_dir::root_secret(settings, random::bytes(random))?)
}

/// Opens the database if there is one. An operator's command in the wrong folder must not make a
/// second, empty installation there.
pub async fn connect_existing(settings: &Settings) -> Result<SqlStore, Failure> {
    if let Database::Sqlite { path } = &settings.database
        && !path.exists()
    {
        let message = format!(
            "there is no database at `{}`: run this in the server's working directory and with its settings, or start \
             the server or `countersign migrate` to make one",
            path.display()
        );
        return Err(Failure::with(Exit::Settings, message));
    }
    connect(settings).await
}

/// Runs an operator's command over the database, and Redis where there is one: what it changes holds there too before it
/// says so.
pub async fn for_command<T>(
    settings: &Settings,
    command: impl AsyncFnOnce(&Flows) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = connect_existing(settings).await?;
    current_schema(&store).await?;
    may_be_served(&store).await?;
    let redis = with_redis(settings, &store).await?;
    let over: Arc<dyn Store> = match &redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::new(store.clone()),
    };
    let flows = open_over(Role::Operator, settings, &store, over, Arc::default()).await?;
    let done = command(&flows).await;
    if let Some(redis) = redis {
        redis.close(LAST_WORDS).await;
    }
    // Tells the servers to look, before the process ends.
    store.close().await;
    done
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        issuer: settings.issuer.clone(),
        audience: settings.audience.clone(),
        algorithm: match settings.signing {
            Signing::EdDsa => Algorithm::EdDsa,
            Signing::Es256 => Algorithm::Es256,
            Signing::Rs256 => Algorithm::Rs256,
            Signing::Hs256(_) => Algorithm::Hs256,
        },
        access_lifetime: signed(settings.access_token_lifetime),
        rotation: RotationPolicy {
            grace: signed(settings.refresh_grace),
            idle: signed(settings.session_idle),
        },
        session_lifetime: signed(settings.session_lifetime),
        audit_retention: Some(settings.audit_retention)
            .filter(|kept| !kept.is_zero())
            .map(signed),
        audit_refreshes: settings.audit_refreshes,
        limits: LimitPolicy {
            // Only one instance can use a SQLite file, and counting in it would wait for the disk.
            shared: match (&settings.redis, &settings.database) {
                (None, Database::Sqlite { .. }) => Counting::InMemory,
                (Some(_), _) | (None, Database::Postgres { .. }) => Counting::InStore,
            },
            ..settings.limits
        },
    }
}

/// How the settings want hashing done.
pub fn pool(settings: &Settings) -> PoolSettings {
    PoolSettings {
        scheme: scheme(settings),
        workers: NonZeroUsize::new(settings.hash_workers).unwrap_or(NonZeroUsize::MIN),
        lanes: NonZeroUsize::new(settings.hash_lanes).unwrap_or(NonZeroUsize::MIN),
        longest_wait: settings.hash_queue,
    }
}

/// How the settings want passwords hashed.
pub fn scheme(settings: &Settings) -> Scheme {
    match settings.password_hasher {
        PasswordHasher::Bcrypt { rounds } => Scheme::Bcrypt { cost: rounds },
        PasswordHasher::Argon2id {
            memory_kib,
            iterations,
            parallelism,
        } => Scheme::Argon2id {
            memory_kib,
            iterations,
            parallelism,
        },
    }
}

/// The settings bound every duration to years.
fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}
