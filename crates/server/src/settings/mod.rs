//! The settings: where they come from, what they may be, and the typed result.
//!
//! Sources, the strongest first: the process environment, `.env` in the working directory, `countersign.toml`, the
//! default. [`table`] declares every setting; the rest of this folder reads, checks, shows and documents what it says.

mod checks;
mod collect;
pub mod database;
mod dotenv;
pub mod generated;
pub mod kind;
mod parse;
mod problem;
mod read;
mod reader;
mod redis;
mod secret;
mod sources;
mod suggest;
pub mod table;
mod toml_file;
pub mod weak;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use countersign_flows::LimitPolicy;
use countersign_http::ForwardingHeader;
use countersign_store_redis::RedisUrl;
use ipnet::IpNet;

pub use database::Database;
pub(crate) use problem::escaped;
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
    /// `COUNTERSIGN_DRAIN_SECONDS`: 0 to 300 seconds between being asked to stop and stopping.
    pub drain: Duration,
    /// How many clients may follow the feed of revocations; `None`: two thirds of the connections that there are in the end.
    pub feed_subscribers: Option<usize>,
    /// `COUNTERSIGN_CORS_ORIGINS`.
    pub cors_origins: CorsOrigins,
    /// `TRUSTED_PROXIES`: empty means that forwarding fields are ignored.
    pub trusted_proxies: Vec<IpNet>,
    /// `TRUSTED_PROXIES_HEADER`.
    pub forwarding_header: ForwardingHeader,
    /// `COUNTERSIGN_LOG`: a filter that `tracing_subscriber::EnvFilter` has accepted.
    pub log_filter: String,
    /// `COUNTERSIGN_LOG_FORMAT`.
    pub log_format: LogFormat,

    /// `DATABASE_URL`.
    pub database: Database,
    /// `COPY_TO_URL`: where `countersign store copy` moves it to.
    pub copy_to: Option<Database>,
    /// `DATABASE_MAX_CONNECTIONS`: 3 to 200.
    pub database_max_connections: u32,
    /// `COUNTERSIGN_MIGRATE`: whether `serve` runs migrations.
    pub migrate_at_start: bool,

    /// `REDIS_URL`.
    pub redis: Option<RedisUrl>,
    /// `REDIS_CA_FILE`.
    pub redis_ca_file: Option<PathBuf>,

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
    /// `HASH_LANES`: 1 to 6.
    pub hash_lanes: usize,
    /// `HASH_QUEUE_SECONDS`: longest expected wait for a hashing thread, 1 to 60 seconds.
    pub hash_queue: Duration,

    /// `AUDIT_RETENTION_DAYS`: zero keeps events for ever.
    pub audit_retention: Duration,
    /// `AUDIT_REFRESHES`.
    pub audit_refreshes: bool,

    /// `RATE_LIMIT_*`.
    pub limits: LimitPolicy,

    /// `OTEL_*`: where spans go, if they go anywhere.
    pub traces: Option<Traces>,
}

/// Where spans go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, completed: where spans are posted.
    pub url: String,
    /// `OTEL_EXPORTER_OTLP_HEADERS`: names and values that HTTP allows.
    pub headers: Vec<(String, Secret)>,
    /// `OTEL_SERVICE_NAME`.
    pub service: String,
    /// `OTEL_TRACES_SAMPLER_ARG`: of a million traces that begin here, how many are recorded.
    pub per_million: u32,
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
    /// bcrypt with this cost, 4 to 20.
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
    let settings = read::read(&mut reader, sources);
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
