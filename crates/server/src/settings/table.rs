//! Every setting, declared once.
//!
//! Reading, `config show`, `.env.example`, `docs/settings.md` and the suggestion for a mistyped name all follow this
//! table. A setting's key in `countersign.toml` is its name in lower case.

use super::kind::Kind;
use Fallback::{Computed, Text, Unset};

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// Name in the environment and in `.env`.
    pub name: &'static str,
    /// The heading it stands under in generated files.
    pub group: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What holds when it is not set.
    pub default: Fallback,
    /// One sentence about what it does.
    pub doc: &'static str,
}

/// What holds when a setting is not set.
#[derive(Debug, Clone, Copy)]
pub enum Fallback {
    /// This value.
    Text(&'static str),
    /// A value that follows from something else, in words.
    Computed(&'static str),
    /// Nothing.
    Unset,
}

impl Setting {
    /// Key in `countersign.toml`.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Whether its value may never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::Fields)
    }
}

macro_rules! settings {
    ($($group:literal { $($name:ident: $kind:expr, $default:expr, $doc:literal;)* })*) => {
        $($(
            #[doc = $doc]
            pub static $name: Setting =
                Setting { name: stringify!($name), group: $group, kind: $kind, default: $default, doc: $doc };
        )*)*

        /// All of them, in the order of the documentation.
        pub static ALL: &[&Setting] = &[$($(&$name),*),*];
    };
}

settings! {
    "Server" {
        COUNTERSIGN_ADDR: Kind::Address, Text("127.0.0.1:8080"),
            "The address that clients connect to.";
        COUNTERSIGN_OPS_ADDR: Kind::AddressOrOff, Text("127.0.0.1:9090"),
            "The operator's address, for `/metrics`, `/healthz` and `/readyz`; keep it off the public network.";
        COUNTERSIGN_DATA_DIR: Kind::Folder, Text("./countersign-data"),
            "The folder for the generated root secret and for the default database; made with mode 0700 if it is missing.";
        COUNTERSIGN_MAX_CONNECTIONS: Kind::Number { min: 1, max: 1_000_000, unit: "connections" }, Text("15000"),
            "How many client connections may be open at once; further ones wait to be accepted.";
        COUNTERSIGN_DRAIN_SECONDS: Kind::Number { min: 0, max: 300, unit: "seconds" }, Text("0"),
            "How long a server that is asked to stop goes on answering while `/readyz` is 503, so that load balancers send their requests elsewhere first.";
        COUNTERSIGN_FEED_SUBSCRIBERS: Kind::Number { min: 0, max: 1_000_000, unit: "clients" }, Computed("two thirds of `COUNTERSIGN_MAX_CONNECTIONS`"),
            "How many clients may follow the feed of revocations at once, so that there is room for sign-ins; further ones get 503.";
        COUNTERSIGN_CORS_ORIGINS: Kind::Origins,
            Computed("any http origin on localhost when the listening address is loopback, otherwise `off`"),
            "The web origins whose pages may call the server from a browser.";
        TRUSTED_PROXIES: Kind::Networks, Unset,
            "The proxies whose word about the client's address is believed; without any, the peer's address counts.";
        TRUSTED_PROXIES_HEADER: Kind::Choice(&["x-forwarded-for", "forwarded"]), Text("x-forwarded-for"),
            "The header that the trusted proxies add their client's address to; the other one is not looked at.";
        COUNTERSIGN_LOG: Kind::LogFilter, Text("info"),
            "What is logged, as a level or as a filter by target; `info,request=off` leaves out the line about each request.";
        COUNTERSIGN_LOG_FORMAT: Kind::Choice(&["human", "json"]), Text("human"),
            "How a log line is written.";
        COUNTERSIGN_CONFIG: Kind::ConfigFile, Computed("`countersign.toml` in the working directory, if there is one"),
            "The settings file; `--config` wins over it.";
    }
    "Database" {
        DATABASE_URL: Kind::Database, Computed("the SQLite file `countersign.db` in the data folder"),
            "The database, which is the authority on users and sessions.";
        DATABASE_MAX_CONNECTIONS: Kind::Number { min: 3, max: 200, unit: "connections" }, Text("10"),
            "How many connections to PostgreSQL one instance may hold; two of them are for hearing of sign-outs elsewhere.";
        COPY_TO_URL: Kind::Database, Unset,
            "The database that `countersign store copy` moves the installation to; servers do not look at it.";
        COUNTERSIGN_MIGRATE: Kind::Choice(&["auto", "off"]), Text("auto"),
            "Whether `serve` brings the database's schema up to date; with `off` it waits for `countersign migrate`.";
    }
    "Redis" {
        REDIS_URL: Kind::Redis, Unset,
            "A Redis or Valkey that makes refreshes fast, shares limits among instances and tells them of sign-outs at once; it may be lost at any time.";
        REDIS_CA_FILE: Kind::File, Unset,
            "The certificates, as PEM, of those who vouch for Redis' servers over TLS; without it, the system's.";
    }
    "Secrets" {
        COUNTERSIGN_SECRET: Kind::Secret, Computed("made at the first start and kept as `root-secret` in the data folder"),
            "The root secret, from which the keys for refresh tokens and for stored signing keys are derived; every instance needs the same one.";
    }
    "Tokens and sessions" {
        COUNTERSIGN_ISSUER: Kind::Issuer, Computed("`http://` and the listening address"),
            "The issuer in every token and the base of public links; required when the listening address is not loopback.";
        COUNTERSIGN_AUDIENCE: Kind::Audience, Text("countersign"),
            "The audience in every access token; APIs must expect the same.";
        JWT_ALGORITHM: Kind::Choice(&["EdDSA", "ES256", "RS256", "HS256"]), Text("EdDSA"),
            "The algorithm that new signing keys are made for; with HS256 every API must hold the signing secret.";
        JWT_SECRET: Kind::Secret, Unset,
            "The signing secret of HS256; used by no other algorithm.";
        ACCESS_TOKEN_EXPIRE_MINUTES: Kind::Number { min: 1, max: 60, unit: "minutes" }, Text("15"),
            "How long an access token is valid.";
        REFRESH_TOKEN_EXPIRE_DAYS: Kind::Number { min: 1, max: 365, unit: "days" }, Text("30"),
            "How long a session may lie idle; each refresh starts the time again.";
        SESSION_MAX_DAYS: Kind::Number { min: 1, max: 3650, unit: "days" }, Text("90"),
            "How long a session may last in all, however often it is refreshed; at least `REFRESH_TOKEN_EXPIRE_DAYS`.";
        REFRESH_GRACE_SECONDS: Kind::Number { min: 0, max: 300, unit: "seconds" }, Text("30"),
            "How long a used refresh token still gets the same successor, for retries and parallel requests; 0 turns it off.";
    }
    "Passwords" {
        PASSWORD_HASHER: Kind::Choice(&["bcrypt", "argon2id"]), Text("bcrypt"),
            "How new passwords are hashed; others are rehashed at the next sign-in.";
        BCRYPT_ROUNDS: Kind::Number { min: 4, max: 20, unit: "rounds, as a power of two" }, Text("12"),
            "The cost of bcrypt; each step doubles the time of a sign-in.";
        ARGON2_MEMORY_KIB: Kind::Number { min: 1024, max: 1_048_576, unit: "KiB" }, Text("19456"),
            "The memory that one argon2id hash uses.";
        ARGON2_ITERATIONS: Kind::Number { min: 1, max: 64, unit: "passes" }, Text("2"),
            "How often argon2id goes over its memory.";
        ARGON2_PARALLELISM: Kind::Number { min: 1, max: 16, unit: "lanes" }, Text("1"),
            "How many lanes argon2id divides its memory into.";
        HASH_WORKERS: Kind::Number { min: 1, max: 1024, unit: "threads" }, Computed("the number of cores"),
            "How many threads hash passwords.";
        HASH_LANES: Kind::Number { min: 1, max: 6, unit: "lanes" }, Text("6"),
            "How many bcrypt hashes each thread computes side by side; 1 computes one after the other, by other code.";
        HASH_QUEUE_SECONDS: Kind::Number { min: 1, max: 60, unit: "seconds" }, Text("5"),
            "The longest wait for a hashing thread; a sign-in that would wait longer is refused with 503 at once.";
    }
    "Audit" {
        AUDIT_RETENTION_DAYS: Kind::Number { min: 0, max: 36500, unit: "days" }, Text("365"),
            "How long events of the audit log are kept; then they are verified and removed; 0 keeps them for ever.";
        AUDIT_REFRESHES: Kind::Choice(&["on", "off"]), Text("on"),
            "Whether every refresh leaves an event; without, the log is much smaller, and tells less about how a session was used.";
    }
    "Limits" {
        RATE_LIMIT_LOGIN: Kind::Limit, Text("5/15m"),
            "How many wrong passwords are looked at, for each client address, and by itself for each known device and each session.";
        RATE_LIMIT_ACCOUNT: Kind::Backoff, Text("10/1s..5m"),
            "How many wrong passwords are looked at for each account, from wherever they come, before each further one has to wait; the delay doubles.";
        RATE_LIMIT_REGISTER: Kind::Limit, Text("3/1h"),
            "How many registrations are taken from each client address.";
        RATE_LIMIT_REFRESH: Kind::Limit, Text("6000/1m"),
            "How many refreshes are taken from each client address.";
        RATE_LIMIT_OTHER: Kind::Limit, Text("60000/1m"),
            "How many other requests with a token are taken from each client address; an API that asks for every request of its own needs many.";
    }
    "Traces" {
        OTEL_EXPORTER_OTLP_ENDPOINT: Kind::Collector, Unset,
            "The OpenTelemetry collector that is sent a span for each request, by OTLP over HTTP at `/v1/traces` below this URL; without one there are no spans.";
        OTEL_EXPORTER_OTLP_HEADERS: Kind::Fields, Unset,
            "Header fields of the requests to the collector, such as a key.";
        OTEL_SERVICE_NAME: Kind::ServiceName, Text("countersign"),
            "The name of this service in traces.";
        OTEL_TRACES_SAMPLER_ARG: Kind::Share, Text("1"),
            "The share of traces that is recorded, of those that begin here; of the others the caller decides.";
    }
}

/// Names that later versions will use. Setting one is harmless, and gets a warning.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("RATE_LIMIT_")
}

/// The setting of that name.
pub fn find(name: &str) -> Option<&'static Setting> {
    ALL.iter().find(|setting| setting.name == name).copied()
}
