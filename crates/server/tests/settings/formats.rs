//! Values with a form of their own: addresses, URLs, lists, paths.

use countersign_server::settings::{CorsOrigins, Database, Secret};

use crate::{path, refused, set};

#[test]
fn addresses() {
    let v6 = [
        ("COUNTERSIGN_ADDR", "[::1]:0"),
        ("COUNTERSIGN_OPS_ADDR", "off"),
    ];
    assert_eq!(set(&v6).addr, "[::1]:0".parse().unwrap());
    assert_eq!(set(&v6).ops_addr, None);
    assert_eq!(set(&v6).issuer, "http://[::1]:0");
    for (value, hint) in [
        ("localhost:8080", "write `127.0.0.1:8080`"),
        (
            ":8080",
            "write `0.0.0.0:8080` for all interfaces or `127.0.0.1:8080` for this machine",
        ),
        ("8080", "such as `127.0.0.1:8080`"),
        ("127.0.0.1", "such as `127.0.0.1:8080`"),
        ("127.0.0.1:99999", "such as `127.0.0.1:8080`"),
        ("::1:8080:", "such as"),
        ("off", "such as `127.0.0.1:8080`"),
    ] {
        let line = refused(&[("COUNTERSIGN_ADDR", value)]);
        assert!(
            line.contains(hint) && line.contains(&format!(": `{value}`")),
            "{line}"
        );
        if value != "off" {
            assert!(refused(&[("COUNTERSIGN_OPS_ADDR", value)]).contains(", or `off`: "));
        }
    }
}

#[test]
fn redis() {
    let url = "rediss://app:hunter2@cache:7000/3";
    let settings = set(&[("REDIS_URL", url), ("REDIS_CA_FILE", "ca.pem")]);
    let redis = settings.redis.unwrap();
    assert_eq!(redis.shown(), "rediss://app:hidden@cache:7000/3");
    assert_eq!(settings.redis_ca_file, Some(path("ca.pem")));
    for (value, hint) in [
        ("cache:6379", "expected `redis://host:6379`"),
        ("http://cache", "expected `redis://host:6379`"),
        (
            "redis://:hunter2@cache/main",
            "the database must be a number",
        ),
        ("redis-sentinel://:hunter2@a,b", "it names no master"),
    ] {
        let line = refused(&[("REDIS_URL", value)]);
        assert!(line.contains(hint) && !line.contains("hunter2"), "{line}");
    }
}

#[test]
fn databases() {
    let sqlite = |file: &str| Database::Sqlite { path: path(file) };
    let postgres = |url: &str| Database::Postgres {
        url: Secret::new(url),
    };
    for (text, database) in [
        ("sqlite:a.db", sqlite("a.db")),
        ("sqlite://a.db", sqlite("a.db")),
        ("sqlite:///var/lib/a.db", sqlite("/var/lib/a.db")),
        ("sqlite:/var/lib/a.db", sqlite("/var/lib/a.db")),
        ("postgres://u:p@h/d", postgres("postgres://u:p@h/d")),
        (
            "postgresql://u:p%40q@h:5433/d?sslmode=require",
            postgres("postgresql://u:p%40q@h:5433/d?sslmode=require"),
        ),
        (
            "postgres:///d?host=/run/postgresql",
            postgres("postgres:///d?host=/run/postgresql"),
        ),
    ] {
        assert_eq!(set(&[("DATABASE_URL", text)]).database, database, "{text}");
    }
    for (text, what) in [
        ("sqlite:", "names no file"),
        ("sqlite::memory:", "in memory"),
        ("sqlite://:memory:", "in memory"),
        ("sqlite:a.db?mode=rwc", "options after the path"),
        ("sqlite:data/", "names a folder"),
        ("mysql://u:p@h/d", "does not run on: `mysql:…`"),
        (
            "postgres+asyncpg://u:p@h/d",
            "does not run on: `postgres+asyncpg:…`",
        ),
        ("countersign.db", "is not a database URL"),
        ("postgres:u@h", "lacks `//`"),
        ("postgres://u:a#b@h/d", "percent-encode"),
        ("postgres://u:1#b@h/d", "percent-encode"),
        ("postgres://u:1/b@h/d", "percent-encode"),
        ("postgres://u:1?b@h/d", "percent-encode"),
    ] {
        let line = refused(&[("DATABASE_URL", text)]);
        assert!(line.contains(what), "{text}: {line}");
    }
}

#[test]
fn issuers_and_audiences() {
    for right in [
        "https://auth.example.com",
        "https://a.example/tenant/",
        "http://localhost:8080",
        "https://[2001:db8::1]:8443",
    ] {
        assert_eq!(set(&[("COUNTERSIGN_ISSUER", right)]).issuer, right);
    }
    for wrong in [
        "auth.example.com",
        "ftp://a.example",
        "https://",
        "https:a.example",
        "https://a.example?x",
        "https://a.example/#x",
        "https://a.example#",
        "https://u:p@a.example",
        "https://a.example/ü",
        "https://a.example/a b",
        "urn:example:issuer",
    ] {
        let line = refused(&[("COUNTERSIGN_ISSUER", wrong)]);
        assert!(
            line.contains("without user, query or fragment"),
            "{wrong}: {line}"
        );
    }
    assert_eq!(
        set(&[("COUNTERSIGN_AUDIENCE", "https://api.example")]).audience,
        "https://api.example"
    );
    for wrong in ["a b", "ä", "a\tb", &"a".repeat(201)] {
        assert!(
            refused(&[("COUNTERSIGN_AUDIENCE", wrong)]).contains("visible ASCII"),
            "{wrong}"
        );
    }
}

#[test]
fn origins() {
    let list = |text| set(&[("COUNTERSIGN_CORS_ORIGINS", text)]).cors_origins;
    assert_eq!(list("off"), CorsOrigins::Off);
    let two = vec![
        "https://app.example.com".to_owned(),
        "http://localhost:5173".to_owned(),
    ];
    assert_eq!(
        list("https://App.example.com:443 , http://localhost:5173,"),
        CorsOrigins::List(two)
    );
    for (wrong, hint) in [
        ("*", "name each origin"),
        ("https://a.example/", "write `https://a.example`"),
        ("https://a.example:8443/x", "write `https://a.example:8443`"),
        ("https://a.example?x", "write `https://a.example`"),
        ("a.example", "such as"),
        ("null", "such as"),
        ("file:///x", "such as"),
        ("https://*.example", "name each origin"),
        ("https://u:p@a.example", "such as"),
    ] {
        let line = refused(&[(
            "COUNTERSIGN_CORS_ORIGINS",
            &format!("https://ok.example,{wrong}"),
        )]);
        assert!(
            line.contains(hint) && !line.contains("ok.example"),
            "{wrong}: {line}"
        );
    }
}

#[test]
fn networks() {
    let list = |text: &str| -> Vec<String> {
        set(&[("TRUSTED_PROXIES", text)])
            .trusted_proxies
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        list("10.0.0.0/8, ::1, 192.0.2.7"),
        ["10.0.0.0/8", "::1/128", "192.0.2.7/32"]
    );
    for (wrong, hint) in [
        ("10.0.0.1/8", "write `10.0.0.0/8`"),
        ("proxy.example", ": `proxy.example`"),
        ("10.0.0.0/33", ": `10.0.0.0/33`"),
        ("10.0.0.0-10.0.0.9", ": `10"),
    ] {
        let line = refused(&[("TRUSTED_PROXIES", &format!("::1,{wrong}"))]);
        assert!(line.contains(hint), "{line}");
    }
}

#[test]
fn paths_and_log_filters() {
    assert_eq!(
        set(&[("COUNTERSIGN_DATA_DIR", "/var/lib/cs")]).data_dir,
        path("/var/lib/cs")
    );
    assert!(
        refused(&[("COUNTERSIGN_DATA_DIR", "a\nb")])
            .contains("control characters in its path: `a\\nb`")
    );
    assert_eq!(
        set(&[("COUNTERSIGN_LOG", "warn,countersign=debug")]).log_filter,
        "warn,countersign=debug"
    );
    for text in ["a=b=c", "verbose", "warning", "info,verbose"] {
        assert!(
            refused(&[("COUNTERSIGN_LOG", text)]).contains("must be a log filter"),
            "{text}"
        );
    }
}
