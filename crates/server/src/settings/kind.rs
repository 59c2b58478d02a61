//! What a setting's value must be, in words.

/// What a setting's value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number within bounds, both included.
    Number {
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
        /// What is counted.
        unit: &'static str,
    },
    /// One of these words, written exactly so.
    Choice(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// An IP address and a port, or `off`.
    AddressOrOff,
    /// A folder.
    Folder,
    /// The settings file, which therefore cannot stand in that file.
    ConfigFile,
    /// Where the database is.
    Database,
    /// Where Redis is.
    Redis,
    /// A file.
    File,
    /// At least 32 hard-to-guess bytes, never shown.
    Secret,
    /// The issuer's URL.
    Issuer,
    /// The audience's name.
    Audience,
    /// Web origins, or `off`.
    Origins,
    /// Networks in CIDR notation.
    Networks,
    /// A filter of the `tracing` crate.
    LogFilter,
    /// So many within a duration, or `off`.
    Limit,
    /// So many without a delay, which then grows, or `off`.
    Backoff,
    /// The URL of an OpenTelemetry collector.
    Collector,
    /// Header fields, never shown: they hold keys and tokens.
    Fields,
    /// The name of a service.
    ServiceName,
    /// A part of a whole.
    Share,
}

impl Kind {
    /// What the value must be, to follow "must be".
    pub fn describe(&self) -> String {
        match self {
            Kind::Number { min, max, unit } => {
                format!("a whole number from {min} to {max} ({unit})")
            }
            Kind::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                format!("one of {}", words.join(", "))
            }
            Kind::Address => {
                "an IP address and a port, such as `127.0.0.1:8080` or `[::1]:8080`".into()
            }
            Kind::AddressOrOff => {
                "an IP address and a port, such as `127.0.0.1:9090`, or `off`".into()
            }
            Kind::Folder | Kind::File => "a path".into(),
            Kind::ConfigFile => "a path, set in the environment or in `.env`".into(),
            Kind::Database => "`sqlite:` and a path, or a `postgres://` URL".into(),
            Kind::Redis => {
                "a `redis://`, `redis-sentinel://` or `redis-cluster://` URL, with `rediss` for TLS".into()
            }
            Kind::Secret => {
                "at least 32 random bytes, for example from `openssl rand -base64 48`".into()
            }
            Kind::Issuer => {
                "an `https://` (or `http://`) URL without user, query or fragment".into()
            }
            Kind::Audience => "1 to 200 visible ASCII characters".into(),
            Kind::Origins => {
                "origins such as `https://app.example.com`, separated by commas, or `off`".into()
            }
            Kind::Networks => {
                "IP addresses or networks such as `10.0.0.0/8`, separated by commas".into()
            }
            Kind::Limit => {
                "a number and a duration in `s`, `m` or `h`, up to 24 hours, such as `5/15m`, or `off`".into()
            }
            Kind::Backoff => {
                "a number, the first delay and the longest, such as `10/1s..5m`, or `off`".into()
            }
            Kind::Collector => {
                "an `http://` or `https://` URL without user, query or fragment, such as `http://127.0.0.1:4318`".into()
            }
            Kind::Fields => {
                "header fields such as `api-key=secret,tenant=7`, values percent-encoded".into()
            }
            Kind::ServiceName => "1 to 100 characters without control characters".into(),
            Kind::Share => "a number from 0 to 1 with at most six decimals, such as `0.05`".into(),
            Kind::LogFilter => "a log filter such as `info` or `warn,countersign=debug`".into(),
        }
    }
}
