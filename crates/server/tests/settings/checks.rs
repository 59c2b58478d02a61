//! What settings mean to each other.

use crate::{OTHER_SECRET, SECRET, bad, env, refused, warned};

const PUBLIC: (&str, &str) = ("COUNTERSIGN_ADDR", "0.0.0.0:8080");
const ISSUER: (&str, &str) = ("COUNTERSIGN_ISSUER", "https://auth.example.com");
const POSTGRES: (&str, &str) = ("DATABASE_URL", "postgres://u:p@h/d");
const ROOT: (&str, &str) = ("COUNTERSIGN_SECRET", SECRET);
const HS256: (&str, &str) = ("JWT_ALGORITHM", "HS256");

/// The only warning of an environment.
fn one_warning(pairs: &[(&str, &str)]) -> String {
    let mut warnings = warned(&env(pairs));
    assert_eq!(warnings.len(), 1, "{pairs:?}: {warnings:?}");
    warnings.remove(0)
}

fn no_warning(pairs: &[(&str, &str)]) {
    assert_eq!(warned(&env(pairs)), Vec::<String>::new(), "{pairs:?}");
}

#[test]
fn hs256_needs_a_secret_of_its_own() {
    assert!(
        refused(&[HS256])
            .starts_with("`JWT_SECRET` (default) must be set when `JWT_ALGORITHM` is `HS256`; ")
    );
    let line = refused(&[HS256, ROOT, ("JWT_SECRET", SECRET)]);
    assert!(
        line.starts_with("`JWT_SECRET` (environment) is the same as `COUNTERSIGN_SECRET`"),
        "{line}"
    );
    no_warning(&[HS256, ROOT, ("JWT_SECRET", OTHER_SECRET)]);
    // A weak secret is told once, not also as missing.
    assert!(refused(&[HS256, ("JWT_SECRET", "weak")]).contains("shorter"));
    assert!(one_warning(&[("JWT_SECRET", SECRET)]).contains("has no effect"));
}

#[test]
fn a_session_outlasts_its_idle_time() {
    let days = |idle, most| {
        [
            ("REFRESH_TOKEN_EXPIRE_DAYS", idle),
            ("SESSION_MAX_DAYS", most),
        ]
    };
    no_warning(&days("30", "30"));
    let line = refused(&days("31", "30"));
    assert_eq!(
        line,
        "`SESSION_MAX_DAYS` (environment) is shorter than `REFRESH_TOKEN_EXPIRE_DAYS`; set it to 31 or more, or lower the other"
    );
    assert!(
        refused(&[("REFRESH_TOKEN_EXPIRE_DAYS", "365")])
            .contains("`SESSION_MAX_DAYS` (default) is shorter")
    );
    assert!(
        refused(&days("400", "30")).contains("REFRESH_TOKEN_EXPIRE_DAYS"),
        "one problem, not two"
    );
}

#[test]
fn a_public_address_needs_an_issuer() {
    assert!(refused(&[PUBLIC]).starts_with("`COUNTERSIGN_ISSUER` (default) must be set"));
    no_warning(&[PUBLIC, ISSUER]);
    no_warning(&[("COUNTERSIGN_ADDR", "127.0.0.2:80")]);
    for public in ["[::]:80", "192.0.2.1:80", "10.0.0.1:80"] {
        assert!(refused(&[("COUNTERSIGN_ADDR", public)]).contains("COUNTERSIGN_ISSUER"));
    }
}

#[test]
fn an_issuer_in_the_clear_gets_a_warning_unless_it_is_this_machine() {
    let line = one_warning(&[("COUNTERSIGN_ISSUER", "http://auth.example.com")]);
    assert!(
        line.starts_with("`COUNTERSIGN_ISSUER` (environment) is not `https`"),
        "{line}"
    );
    one_warning(&[("COUNTERSIGN_ISSUER", "HTTP://auth.example.com")]);
    one_warning(&[("COUNTERSIGN_ISSUER", "http://localhost.example.com")]);
    for local in [
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:1",
        "http://app.localhost",
    ] {
        no_warning(&[("COUNTERSIGN_ISSUER", local)]);
    }
}

#[test]
fn a_generated_root_secret_does_not_meet_a_shared_database() {
    let line = refused(&[POSTGRES, PUBLIC, ISSUER]);
    assert!(
        line.starts_with(
            "`COUNTERSIGN_SECRET` (default) must be set on PostgreSQL with a public address"
        ),
        "{line}"
    );
    assert!(
        one_warning(&[POSTGRES])
            .contains("a second instance on the same PostgreSQL needs the same one")
    );
    no_warning(&[POSTGRES, ROOT]);
    no_warning(&[POSTGRES, PUBLIC, ISSUER, ROOT]);
    no_warning(&[PUBLIC, ISSUER]);
}

#[test]
fn the_operators_address_is_private_and_its_own() {
    let ops = |address| ("COUNTERSIGN_OPS_ADDR", address);
    assert!(one_warning(&[ops("0.0.0.0:9090")]).contains("can read the metrics"));
    for (public, operator) in [
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("0.0.0.0:9000", "127.0.0.1:9000"),
        ("127.0.0.1:9000", "[::]:9000"),
    ] {
        let problems = bad(&env(&[("COUNTERSIGN_ADDR", public), ops(operator), ISSUER]));
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].starts_with("`COUNTERSIGN_OPS_ADDR` (environment) takes the same port"),
            "{problems:?}"
        );
    }
    no_warning(&[("COUNTERSIGN_ADDR", "127.0.0.1:0"), ops("127.0.0.1:0")]);
    no_warning(&[
        ("COUNTERSIGN_ADDR", "127.0.0.1:9000"),
        ops("127.0.0.2:9000"),
    ]);
}

#[test]
fn a_cost_that_is_cheap_or_slow_gets_a_warning() {
    let rounds = |rounds| [("BCRYPT_ROUNDS", rounds)];
    assert!(one_warning(&rounds("9")).contains("is below 10"));
    no_warning(&rounds("10"));
    no_warning(&rounds("16"));
    assert!(one_warning(&rounds("17")).contains("is above 16"));
    no_warning(&[("BCRYPT_ROUNDS", "4"), ("PASSWORD_HASHER", "argon2id")]);
    let argon2 = |memory, passes| {
        [
            ("PASSWORD_HASHER", "argon2id"),
            ("ARGON2_MEMORY_KIB", memory),
            ("ARGON2_ITERATIONS", passes),
        ]
    };
    no_warning(&argon2("7168", "5"));
    assert!(one_warning(&argon2("7168", "4")).contains("`ARGON2_ITERATIONS` is below 35840"));
}

#[test]
fn trusting_everybody_gets_a_warning() {
    for everybody in ["0.0.0.0/0", "::/0"] {
        assert!(one_warning(&[("TRUSTED_PROXIES", everybody)]).contains("trusts every address"));
    }
    no_warning(&[("TRUSTED_PROXIES", "10.0.0.0/8")]);
}

#[test]
fn every_problem_is_told_and_each_on_one_line() {
    let problems = bad(&env(&[
        ("BCRYPT_ROUNDS", "a\nb"),
        ("COUNTERSIGN_ADDR", "nowhere"),
        ("COUNTERSIGN_COLOUR", "red"),
        ("DATABASE_URL", "mysql:x"),
        HS256,
        ("SESSION_MAX_DAYS", "1"),
    ]));
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert!(problems.iter().all(|line| !line.contains('\n')));
}
