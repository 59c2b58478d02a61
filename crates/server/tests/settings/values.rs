//! What each setting accepts and refuses.

use std::time::Duration;

use countersign_domain::limits::Rule;
use countersign_flows::{Counting, LimitPolicy};
use countersign_http::ForwardingHeader;
use countersign_server::settings::kind::Kind;
use countersign_server::settings::table::{ALL, Fallback};
use countersign_server::settings::{
    CorsOrigins, Database, LogFormat, PasswordHasher, RootSecretSource, Secret, Settings, Signing,
    Traces,
};

use jiff::SignedDuration;

use crate::{OTHER_SECRET, SECRET, path, refused, set};

#[test]
fn an_empty_environment_is_a_safe_server_on_this_machine() {
    assert_eq!(
        set(&[]),
        Settings {
            addr: "127.0.0.1:8080".parse().unwrap(),
            ops_addr: Some("127.0.0.1:9090".parse().unwrap()),
            data_dir: path("./countersign-data"),
            max_connections: 15_000,
            drain: Duration::ZERO,
            feed_subscribers: None,
            cors_origins: CorsOrigins::Loopback,
            trusted_proxies: vec![],
            forwarding_header: ForwardingHeader::XForwardedFor,
            log_filter: "info".into(),
            log_format: LogFormat::Human,
            database: Database::Sqlite {
                path: path("./countersign-data/countersign.db")
            },
            copy_to: None,
            database_max_connections: 10,
            migrate_at_start: true,
            redis: None,
            redis_ca_file: None,
            root_secret: RootSecretSource::DataFolder,
            issuer: "http://127.0.0.1:8080".into(),
            audience: "countersign".into(),
            signing: Signing::EdDsa,
            access_token_lifetime: Duration::from_secs(15 * 60),
            session_idle: Duration::from_secs(30 * 86_400),
            session_lifetime: Duration::from_secs(90 * 86_400),
            refresh_grace: Duration::from_secs(30),
            password_hasher: PasswordHasher::Bcrypt { rounds: 12 },
            hash_workers: 3,
            hash_lanes: 6,
            hash_queue: Duration::from_secs(5),
            audit_retention: Duration::from_secs(365 * 86_400),
            audit_refreshes: true,
            limits: LimitPolicy {
                login: window(5, 900),
                account: backoff(10, 1, 300),
                register: window(3, 3600),
                refresh: window(6000, 60),
                other: window(60_000, 60),
                shared: Counting::InMemory,
            },
            traces: None,
        }
    );
}

fn window(limit: u32, seconds: i64) -> Option<Rule> {
    let window = SignedDuration::from_secs(seconds);
    Some(Rule::Window { limit, window })
}

fn backoff(free: u32, first: i64, longest: i64) -> Option<Rule> {
    let [first, longest] = [first, longest].map(SignedDuration::from_secs);
    let forget = SignedDuration::from_hours(24);
    Some(Rule::Backoff {
        free,
        first,
        longest,
        forget,
    })
}

#[test]
fn limits() {
    type Field = fn(&Settings) -> Option<Rule>;
    let fields: [(&str, Field); 4] = [
        ("RATE_LIMIT_LOGIN", |s| s.limits.login),
        ("RATE_LIMIT_REGISTER", |s| s.limits.register),
        ("RATE_LIMIT_REFRESH", |s| s.limits.refresh),
        ("RATE_LIMIT_OTHER", |s| s.limits.other),
    ];
    for (name, field) in fields {
        for (text, rule) in [
            ("1/1s", window(1, 1)),
            (" 7/90s ", window(7, 90)),
            ("1000000/24h", window(1_000_000, 86_400)),
            ("off", None),
        ] {
            assert_eq!(field(&set(&[(name, text)])), rule, "{name}={text}");
        }
        for wrong in [
            "5",
            "5/",
            "/15m",
            "5/15",
            "0/15m",
            "5/0m",
            "-5/15m",
            "5/15d",
            "5/25h",
            "5 / 15m",
            "5/15M",
            "1000001/1m",
            "on",
            "OFF",
            "5/15m/1",
            "+5/1m",
            "5/1é",
        ] {
            let line = refused(&[(name, wrong)]);
            assert!(line.contains("such as `5/15m`, or `off`"), "{line}");
        }
    }
    assert_eq!(
        refused(&[("RATE_LIMIT_LOGIN", "5/15")]),
        "`RATE_LIMIT_LOGIN` (environment) must be a number and a duration in `s`, `m` or `h`, up to 24 hours, such as \
         `5/15m`, or `off`: `5/15`; write `5/15s` for seconds or `5/15m` for minutes"
    );
    assert!(
        refused(&[("RATE_LIMIT_LOGIN", "0/15m")]).ends_with("write `off` to switch the limit off")
    );
}

#[test]
fn growing_delays() {
    let account = |text: &str| set(&[("RATE_LIMIT_ACCOUNT", text)]).limits.account;
    assert_eq!(account("3/2s..1h"), backoff(3, 2, 3600));
    assert_eq!(account("1/5s..5s"), backoff(1, 5, 5));
    assert_eq!(account("off"), None);
    for wrong in [
        "on",
        "10",
        "10/1s",
        "10/1s..",
        "10/..5m",
        "0/1s..5m",
        "10/5m..1s",
        "10/1s...5m",
        "10/0s..5m",
    ] {
        let line = refused(&[("RATE_LIMIT_ACCOUNT", wrong)]);
        assert!(line.contains("such as `10/1s..5m`, or `off`"), "{line}");
    }
}

/// Least and greatest value reach the field they are for; everything outside is refused with the bounds.
#[test]
fn numbers() {
    let seconds = |duration: Duration| duration.as_secs();
    let hasher = |settings: Settings| match settings.password_hasher {
        PasswordHasher::Bcrypt { rounds } => [rounds.into(), 0, 0, 0],
        PasswordHasher::Argon2id {
            memory_kib,
            iterations,
            parallelism,
        } => [0, memory_kib.into(), iterations.into(), parallelism.into()],
    };
    type Field<'a> = (&'a str, u64, &'a dyn Fn(Settings) -> u64);
    let fields: [Field; 16] = [
        ("COUNTERSIGN_MAX_CONNECTIONS", 1, &|s| {
            s.max_connections as u64
        }),
        ("COUNTERSIGN_FEED_SUBSCRIBERS", 1, &|s| {
            s.feed_subscribers.unwrap_or(usize::MAX) as u64
        }),
        ("DATABASE_MAX_CONNECTIONS", 1, &|s| {
            s.database_max_connections.into()
        }),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", 60, &|s| {
            seconds(s.access_token_lifetime)
        }),
        ("REFRESH_TOKEN_EXPIRE_DAYS", 86_400, &|s| {
            seconds(s.session_idle)
        }),
        ("SESSION_MAX_DAYS", 86_400, &|s| seconds(s.session_lifetime)),
        ("REFRESH_GRACE_SECONDS", 1, &|s| seconds(s.refresh_grace)),
        ("BCRYPT_ROUNDS", 1, &|s| hasher(s)[0]),
        ("ARGON2_MEMORY_KIB", 1, &|s| hasher(s)[1]),
        ("ARGON2_ITERATIONS", 1, &|s| hasher(s)[2]),
        ("ARGON2_PARALLELISM", 1, &|s| hasher(s)[3]),
        ("HASH_WORKERS", 1, &|s| s.hash_workers as u64),
        ("HASH_LANES", 1, &|s| s.hash_lanes as u64),
        ("COUNTERSIGN_DRAIN_SECONDS", 1, &|s| seconds(s.drain)),
        ("HASH_QUEUE_SECONDS", 1, &|s| seconds(s.hash_queue)),
        ("AUDIT_RETENTION_DAYS", 86_400, &|s| {
            seconds(s.audit_retention)
        }),
    ];
    let numbers = ALL
        .iter()
        .filter(|setting| matches!(setting.kind, Kind::Number { .. }))
        .count();
    assert_eq!(numbers, fields.len(), "a number setting is not tested here");

    for (name, unit, field) in fields {
        let setting = ALL.iter().find(|setting| setting.name == name).unwrap();
        let Kind::Number { min, max, .. } = setting.kind else {
            unreachable!()
        };
        let extra: &[(&str, &str)] = match name {
            "REFRESH_TOKEN_EXPIRE_DAYS" => &[("SESSION_MAX_DAYS", "3650")],
            "SESSION_MAX_DAYS" => &[("REFRESH_TOKEN_EXPIRE_DAYS", "1")],
            name if name.starts_with("ARGON2") => &[("PASSWORD_HASHER", "argon2id")],
            _ => &[],
        };
        for right in [min, max] {
            let text = right.to_string();
            let pairs = [&[(name, text.as_str())], extra].concat();
            assert_eq!(field(set(&pairs)), right * unit, "{name}={right}");
        }
        let outside = [
            (max + 1).to_string(),
            min.checked_sub(1).map_or("-1".into(), |n| n.to_string()),
        ];
        let malformed = [
            "-1",
            "+5",
            "5.0",
            "5 6",
            "1e1",
            "0x5",
            "1_0",
            "five",
            "5;",
            "99999999999999999999999",
        ];
        for wrong in outside.iter().map(String::as_str).chain(malformed) {
            let pairs = [&[(name, wrong)], extra].concat();
            let line = refused(&pairs);
            let expected =
                format!("`{name}` (environment) must be a whole number from {min} to {max} (");
            assert!(
                line.starts_with(&expected) && line.contains(&format!(": `{wrong}`")),
                "{line}"
            );
        }
    }
}

#[test]
fn words() {
    assert_eq!(set(&[("JWT_ALGORITHM", "ES256")]).signing, Signing::Es256);
    assert_eq!(set(&[("JWT_ALGORITHM", "RS256")]).signing, Signing::Rs256);
    let hs256 = set(&[("JWT_ALGORITHM", "HS256"), ("JWT_SECRET", SECRET)]).signing;
    assert_eq!(hs256, Signing::Hs256(Secret::new(SECRET)));
    assert!(!set(&[("COUNTERSIGN_MIGRATE", "off")]).migrate_at_start);
    assert_eq!(
        set(&[("COUNTERSIGN_LOG_FORMAT", "json")]).log_format,
        LogFormat::Json
    );
    let argon2id = PasswordHasher::Argon2id {
        memory_kib: 19_456,
        iterations: 2,
        parallelism: 1,
    };
    assert_eq!(
        set(&[("PASSWORD_HASHER", "argon2id")]).password_hasher,
        argon2id
    );

    for setting in ALL {
        let Kind::Choice(words) = setting.kind else {
            continue;
        };
        let line = refused(&[(setting.name, "scrypt512")]);
        assert!(
            line.contains("must be one of ") && line.ends_with(": `scrypt512`"),
            "{line}"
        );
        let swapped: String = words[1]
            .chars()
            .map(|c| {
                if c.is_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        let line = refused(&[(setting.name, &swapped)]);
        assert!(line.ends_with(&format!("; write `{}`", words[1])), "{line}");
    }
}

#[test]
fn secrets() {
    for name in ["JWT_SECRET", "COUNTERSIGN_SECRET"] {
        let both = |secret| {
            [
                ("JWT_ALGORITHM", "HS256"),
                ("JWT_SECRET", OTHER_SECRET),
                (name, secret),
            ]
        };
        set(&both(SECRET));
        for (weak, why) in [
            ("changeme", "is shorter than 32 bytes"),
            (
                "your-secret-key-your-secret-key-32",
                "looks like a placeholder",
            ),
            (
                "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
                "is a published example",
            ),
            (
                "0000000000000000000000000000000000000000",
                "a few characters only",
            ),
            ("Zk3v9T0xPzQ7uW1yZk3v9T0xPzQ7uW1y", "repeats itself"),
            ("abcdefghijklmnopqrstuvwxyz012345", "is a run"),
            (
                "Zk3v9T0xPzQ7uW1yB5nM8cR2dF6gH4jL\n",
                "ends with white space",
            ),
        ] {
            let line = refused(&both(weak));
            assert!(
                line.starts_with(&format!("`{name}` (environment) ")),
                "{line}"
            );
            assert!(line.contains(why) && !line.contains(weak), "{line}");
        }
    }
}

#[test]
fn traces() {
    let traces = |pairs: &[(&str, &str)]| set(pairs).traces;
    let to = |url| ("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    assert_eq!(traces(&[("OTEL_SERVICE_NAME", "a")]), None);
    for (url, posted_to) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
        ("https://a.example/otlp", "https://a.example/otlp/v1/traces"),
    ] {
        let expected = Traces {
            url: posted_to.to_owned(),
            headers: vec![],
            service: "countersign".into(),
            per_million: 1_000_000,
        };
        assert_eq!(traces(&[to(url)]), Some(expected));
    }
    for wrong in [
        "collector",
        "collector:4318",
        "grpc://a:4317",
        "http:a",
        "http://a#b",
        "http://a/v1/traces",
        "http://",
    ] {
        let line = refused(&[to(wrong)]);
        assert!(line.contains("such as `http://127.0.0.1:4318`"), "{line}");
    }
    let fields = |text| {
        let given = [
            to("https://a.example"),
            ("OTEL_EXPORTER_OTLP_HEADERS", text),
        ];
        traces(&given).unwrap().headers
    };
    let field = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    assert_eq!(
        fields("Api-Key = a%2Cb%3D , b=c=d,"),
        [field("api-key", "a,b="), field("b", "c=d")]
    );
    for wrong in ["a", "=b", "a b=c", "a=%0a", "a=%ff", "a=é"] {
        refused(&[("OTEL_EXPORTER_OTLP_HEADERS", wrong)]);
    }
    let share = |text| {
        let given = [to("http://a"), ("OTEL_TRACES_SAMPLER_ARG", text)];
        traces(&given).unwrap().per_million
    };
    let shares = ["0", "0.05", "0.000001", "1", "1.0"].map(share);
    assert_eq!(shares, [0, 50_000, 1, 1_000_000, 1_000_000]);
    for wrong in ["1.1", "2", "-0", ".5", "0.0000001", "1e-3", "10%", "0,5"] {
        refused(&[("OTEL_TRACES_SAMPLER_ARG", wrong)]);
    }
    refused(&[("OTEL_SERVICE_NAME", "a\u{7}b")]);
}

/// What a new setting needs besides its line in the table: `Reader::get` relies on it.
#[test]
fn every_setting_has_a_usable_default_and_a_row() {
    for setting in ALL {
        if let Fallback::Text(value) = setting.default {
            let row = crate::shown(&crate::env(&[(setting.name, value)]), setting.name);
            assert_eq!(row, (Some(value.to_owned()), "environment".to_owned()));
        }
        assert_eq!(crate::shown(&crate::env(&[]), setting.name).1, "default");
        assert!(
            setting.doc.ends_with('.') && !setting.doc.contains('|'),
            "{}",
            setting.name
        );
    }
}
