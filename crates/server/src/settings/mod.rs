//! The settings: where they come from, what they may be, and the typed result.
//!
//! Sources, the strongest first: the process environment, `.env` in the working directory, `countersign.toml`, the
//! default. [`table`] declares every setting; the rest of this folder reads, checks, shows and documents what it says.

mod checks;
mod collect;
pub mod database;
mod dotenv;
pub mod kind;
mod parse;
mod problem;
mod reader;
mod secret;
mod sources;
mod suggest;
pub mod table;
mod toml_file;
pub mod weak;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use database::Database;
pub use problem::{Problem, Warning};
pub use reader::Row;
pub use secret::Secret;
pub use sources::{CONFIG_FILE, Origin, Sources, TextFile};

use reader::Reader;

/// Everything that can be set, checked. Paths may be relative to the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `COUNTERSIGN_ADDR`: the public listener. Port 0 means any free port.
    pub addr: SocketAddr,
    /// `COUNTERSIGN_OPS_ADDR`: the operator's listener, or none.
    pub ops_addr: Option<SocketAddr>,
    /// `COUNTERSIGN_DATA_DIR`: may not exist yet, see [`crate::data_dir`].
    pub data_dir: PathBuf,
    /// `COUNTERSIGN_MAX_CONNECTIONS`: open client connections.
    pub max_connections: usize,
    /// `COUNTERSIGN_CORS_ORIGINS`.
    pub cors_origins: CorsOrigins,
    /// `TRUSTED_PROXIES`: empty means that forwarding fields are ignored.
    pub trusted_proxies: Vec<IpNet>,
    /// `COUNTERSIGN_LOG`: a filter that `tracing_subscriber::EnvFilter` has accepted.
    pub log_filter: String,
    /// `COUNTERSIGN_LOG_FORMAT`.
    pub log_format: LogFormat,

    /// `DATABASE_URL`.
    pub database: Database,
    /// `DATABASE_MAX_CONNECTIONS`: 2 to 200.
    pub database_max_connections: u32,
    /// `COUNTERSIGN_MIGRATE`: whether `serve` runs migrations.
    pub migrate_at_start: bool,

    /// `COUNTERSIGN_SECRET`.
    pub root_secret: RootSecretSource,

    /// `COUNTERSIGN_ISSUER`: a URL, exactly as written.
    pub issuer: String,
    /// `COUNTERSIGN_AUDIENCE`.
    pub audience: String,
    /// `JWT_ALGORITHM` and `JWT_SECRET`.
    pub signing: Signing,
    /// `ACCESS_TOKEN_EXPIRE_MINUTES`: 1 to 60 minutes.
    pub access_token_lifetime: Duration,
    /// `REFRESH_TOKEN_EXPIRE_DAYS`: idle expiry of a session, 1 to 365 days.
    pub session_idle: Duration,
    /// `SESSION_MAX_DAYS`: absolute expiry of a session, at least the idle expiry.
    pub session_lifetime: Duration,
    /// `REFRESH_GRACE_SECONDS`: 0 to 300 seconds; zero turns the grace period off.
    pub refresh_grace: Duration,

    /// `PASSWORD_HASHER` with its cost.
    pub password_hasher: PasswordHasher,
    /// `HASH_WORKERS`: at least 1.
    pub hash_workers: usize,
    /// `HASH_QUEUE_SECONDS`: longest expected wait for a hashing thread, 1 to 60 seconds.
    pub hash_queue: Duration,
}

/// Which web origins may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None.
    Off,
    /// Any `http` origin on `localhost`, `127.0.0.1` or `[::1]`, with any port.
    Loopback,
    /// These, as browsers write them.
    List(Vec<String>),
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where the root secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootSecretSource {
    /// `COUNTERSIGN_SECRET`.
    Given(Secret),
    /// The file in the data folder, made if it is missing.
    DataFolder,
}

/// What access tokens are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signing {
    /// EdDSA over Ed25519.
    EdDsa,
    /// ECDSA over P-256.
    Es256,
    /// RSA with PKCS#1 v1.5.
    Rs256,
    /// HMAC-SHA-256, with `JWT_SECRET`.
    Hs256(Secret),
}

/// How new passwords are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordHasher {
    /// bcrypt with this cost, 4 to 31.
    Bcrypt {
        /// Cost, as a power of two.
        rounds: u32,
    },
    /// argon2id.
    Argon2id {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over the memory.
        iterations: u32,
        /// Lanes.
        parallelism: u32,
    },
}

/// Settings with what an operator may want to know about them.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// What works and is doubtful.
    pub warnings: Vec<Warning>,
    /// Every setting with its value and where that stands, secrets hidden, in the order of [`table::ALL`].
    pub rows: Vec<Row>,
}

impl Settings {
    /// Reads and checks everything. Every problem is found, not only the first.
    pub fn load(sources: &Sources) -> Result<(Settings, Vec<Warning>), Vec<Problem>> {
        load(sources).map(|loaded| (loaded.settings, loaded.warnings))
    }
}

/// [`Settings::load`], with what `config show` prints.
pub fn load(sources: &Sources) -> Result<Loaded, Vec<Problem>> {
    let mut reader = Reader::new(collect::collect(sources));
    let settings = read(&mut reader, sources);
    checks::check(&settings, &mut reader);
    let (mut rows, warnings, problems) = reader.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    rows.sort_by_key(|row| {
        table::ALL
            .iter()
            .position(|setting| setting.name == row.setting)
    });
    Ok(Loaded {
        settings,
        warnings,
        rows,
    })
}

fn read(reader: &mut Reader, sources: &Sources) -> Settings {
    use parse::*;
    use table::*;

    let addr = reader.get(&COUNTERSIGN_ADDR, address);
    let data_dir = reader.get(&COUNTERSIGN_DATA_DIR, path);
    let default_database = data_dir.join("countersign.db");
    reader.get_or(
        &COUNTERSIGN_CONFIG,
        |text| path(text).map(drop),
        || {
            let found = sources.config_file.as_ref();
            (
                (),
                found.map(|file| problem::escaped(&file.path.to_string_lossy())),
            )
        },
    );
    Settings {
        addr,
        ops_addr: reader.get(&COUNTERSIGN_OPS_ADDR, address_or_off),
        max_connections: reader.get(
            &COUNTERSIGN_MAX_CONNECTIONS,
            number(&COUNTERSIGN_MAX_CONNECTIONS),
        ),
        cors_origins: reader.get_or(
            &COUNTERSIGN_CORS_ORIGINS,
            |text| {
                let list = origins(text)?;
                Ok(if list.is_empty() {
                    CorsOrigins::Off
                } else {
                    CorsOrigins::List(list)
                })
            },
            || match addr.ip().is_loopback() {
                true => (
                    CorsOrigins::Loopback,
                    Some("http://localhost:*, http://127.0.0.1:*, http://[::1]:*".into()),
                ),
                false => (CorsOrigins::Off, Some("off".into())),
            },
        ),
        trusted_proxies: reader.get_or(&TRUSTED_PROXIES, networks, || (Vec::new(), None)),
        log_filter: reader.get(&COUNTERSIGN_LOG, log_filter),
        log_format: reader.get(
            &COUNTERSIGN_LOG_FORMAT,
            choice(
                &COUNTERSIGN_LOG_FORMAT,
                &[("human", LogFormat::Human), ("json", LogFormat::Json)],
            ),
        ),
        database: reader.get_or(&DATABASE_URL, database::parse, || {
            let shown = format!("sqlite:{}", default_database.display());
            (
                Database::Sqlite {
                    path: default_database,
                },
                Some(problem::escaped(&shown)),
            )
        }),
        database_max_connections: reader
            .get(&DATABASE_MAX_CONNECTIONS, number(&DATABASE_MAX_CONNECTIONS)),
        migrate_at_start: reader.get(
            &COUNTERSIGN_MIGRATE,
            choice(&COUNTERSIGN_MIGRATE, &[("auto", true), ("off", false)]),
        ),
        root_secret: reader.get_or(
            &COUNTERSIGN_SECRET,
            |text| secret(text).map(RootSecretSource::Given),
            || {
                (
                    RootSecretSource::DataFolder,
                    Some(problem::escaped(
                        &data_dir.join("root-secret").to_string_lossy(),
                    )),
                )
            },
        ),
        issuer: reader.get_or(&COUNTERSIGN_ISSUER, issuer, || {
            let issuer = format!("http://{addr}");
            (issuer.clone(), Some(issuer))
        }),
        audience: reader.get(&COUNTERSIGN_AUDIENCE, audience),
        signing: read_signing(reader),
        access_token_lifetime: reader.get(
            &ACCESS_TOKEN_EXPIRE_MINUTES,
            duration(&ACCESS_TOKEN_EXPIRE_MINUTES, 60),
        ),
        session_idle: reader.get(
            &REFRESH_TOKEN_EXPIRE_DAYS,
            duration(&REFRESH_TOKEN_EXPIRE_DAYS, 86_400),
        ),
        session_lifetime: reader.get(&SESSION_MAX_DAYS, duration(&SESSION_MAX_DAYS, 86_400)),
        refresh_grace: reader.get(&REFRESH_GRACE_SECONDS, duration(&REFRESH_GRACE_SECONDS, 1)),
        password_hasher: read_hasher(reader),
        hash_workers: reader.get_or(&HASH_WORKERS, number(&HASH_WORKERS), || {
            let cores = sources.cores.max(1);
            (cores, Some(cores.to_string()))
        }),
        hash_queue: reader.get(&HASH_QUEUE_SECONDS, duration(&HASH_QUEUE_SECONDS, 1)),
        data_dir,
    }
}

fn read_signing(reader: &mut Reader) -> Signing {
    use table::{JWT_ALGORITHM, JWT_SECRET};
    let secret = reader.get_or(
        &JWT_SECRET,
        |text| parse::secret(text).map(Some),
        || (None, None),
    );
    // `None` is HS256, which is nothing without its secret.
    let words = [
        ("EdDSA", Some(Signing::EdDsa)),
        ("ES256", Some(Signing::Es256)),
        ("RS256", Some(Signing::Rs256)),
        ("HS256", None),
    ];
    let algorithm = reader.get(&JWT_ALGORITHM, parse::choice(&JWT_ALGORITHM, &words));
    match (algorithm, secret) {
        (Some(signing), _) => signing,
        (None, Some(secret)) => Signing::Hs256(secret),
        (None, None) => {
            if !reader.failed(&JWT_SECRET) {
                let what = "must be set when `JWT_ALGORITHM` is `HS256`";
                reader.problem(
                    &JWT_SECRET,
                    what,
                    "take the output of `openssl rand -base64 48`",
                );
            }
            Signing::EdDsa
        }
    }
}

fn read_hasher(reader: &mut Reader) -> PasswordHasher {
    use table::{
        ARGON2_ITERATIONS, ARGON2_MEMORY_KIB, ARGON2_PARALLELISM, BCRYPT_ROUNDS, PASSWORD_HASHER,
    };
    let rounds = reader.get(&BCRYPT_ROUNDS, parse::number(&BCRYPT_ROUNDS));
    let memory_kib = reader.get(&ARGON2_MEMORY_KIB, parse::number(&ARGON2_MEMORY_KIB));
    let iterations = reader.get(&ARGON2_ITERATIONS, parse::number(&ARGON2_ITERATIONS));
    let parallelism = reader.get(&ARGON2_PARALLELISM, parse::number(&ARGON2_PARALLELISM));
    let values = [
        ("bcrypt", PasswordHasher::Bcrypt { rounds }),
        (
            "argon2id",
            PasswordHasher::Argon2id {
                memory_kib,
                iterations,
                parallelism,
            },
        ),
    ];
    reader.get(&PASSWORD_HASHER, parse::choice(&PASSWORD_HASHER, &values))
}
