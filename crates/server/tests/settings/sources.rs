//! Where values come from, and which one wins.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use countersign_server::settings::Sources;

use crate::{bad, env, file, good, path, places, shown, warned};

#[test]
fn the_strongest_source_wins_and_is_named() {
    let (name, toml) = ("BCRYPT_ROUNDS", "# a comment\n\nbcrypt_rounds = 13");
    let from = |env: &[_], dotenv, toml| shown(&places(env, dotenv, toml), name);
    let row = |value: &str, from: &str| (Some(value.to_owned()), from.to_owned());
    assert_eq!(from(&[], "", ""), row("12", "default"));
    assert_eq!(from(&[], "", toml), row("13", "`countersign.toml` line 3"));
    assert_eq!(
        from(&[], "\nBCRYPT_ROUNDS=14", toml),
        row("14", "`.env` line 2")
    );
    assert_eq!(
        from(&[(name, "15")], "BCRYPT_ROUNDS=14", toml),
        row("15", "environment")
    );
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let name = "COUNTERSIGN_AUDIENCE";
    let from = |env: &[_], dotenv, toml| shown(&places(env, dotenv, toml), name).1;
    let toml = "countersign_audience = \"c\"";
    assert_eq!(
        from(&[(name, "")], "COUNTERSIGN_AUDIENCE=b", toml),
        "`.env` line 1"
    );
    assert_eq!(
        from(&[(name, " ")], "COUNTERSIGN_AUDIENCE=''", toml),
        "`countersign.toml` line 1"
    );
    assert_eq!(
        from(
            &[(name, "")],
            "COUNTERSIGN_AUDIENCE=",
            "countersign_audience = \"\""
        ),
        "default"
    );
}

#[test]
fn the_settings_file_takes_texts_numbers_and_lists() {
    let loaded = good(&places(
        &[],
        "",
        "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\nhash_workers = \"2\"\nsession_max_days = 1_000\n\
         countersign_cors_origins = []",
    ));
    assert_eq!(loaded.settings.trusted_proxies.len(), 2);
    assert_eq!(loaded.settings.hash_workers, 2);
    assert_eq!(loaded.settings.session_lifetime.as_secs(), 1000 * 86_400);
}

#[test]
fn unknown_names_are_errors_with_a_suggestion() {
    assert_eq!(
        bad(&env(&[
            ("COUNTERSIGN_ISSUR", "x"),
            ("COUNTERSIGN_FLAVOUR", "x")
        ])),
        [
            "`COUNTERSIGN_FLAVOUR` (environment) is not a setting; remove it; `countersign config show` lists all settings",
            "`COUNTERSIGN_ISSUR` (environment) is not a setting; did you mean `COUNTERSIGN_ISSUER`?",
        ]
    );
    assert_eq!(
        bad(&places(
            &[],
            "COUNTERSIGN_PORT=80",
            "bcrypt_round = 12\nBCRYPT_ROUNDS = 12\n[server]\nport = 80"
        )),
        [
            "`COUNTERSIGN_PORT` (`.env` line 1) is not a setting; did you mean `COUNTERSIGN_ADDR`?",
            "`bcrypt_round` (`countersign.toml` line 1) is not a setting; did you mean `bcrypt_rounds`?",
            "`BCRYPT_ROUNDS` (`countersign.toml` line 2) is not a setting; did you mean `bcrypt_rounds`?",
            "`server` (`countersign.toml` line 3) is not a setting; remove it; `countersign config show` lists all settings",
        ]
    );
}

#[test]
fn other_names_in_the_environment_are_left_alone() {
    let foreign = [
        ("PATH", "/bin"),
        ("BCRYPT_ROUND", "x"),
        ("countersign_addr", "x"),
        ("MYCOUNTERSIGN_X", "x"),
    ];
    assert!(warned(&env(&foreign)).is_empty());
    assert!(warned(&places(&[], "FOO=bar baz\nJWT_SECRETS=x", "")).is_empty());
}

#[test]
fn the_variables_that_kubernetes_sets_for_services_are_left_alone() {
    let links = [
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.11"),
        ("COUNTERSIGN_SERVICE_PORT", "8080"),
        ("COUNTERSIGN_SERVICE_PORT_HTTP", "8080"),
        ("COUNTERSIGN_PORT", "tcp://10.0.0.11:8080"),
        ("COUNTERSIGN_PORT_8080_TCP", "tcp://10.0.0.11:8080"),
        ("COUNTERSIGN_PORT_8080_TCP_PROTO", "tcp"),
        ("COUNTERSIGN_PORT_8080_TCP_PORT", "8080"),
        ("COUNTERSIGN_PORT_8080_TCP_ADDR", "10.0.0.11"),
        ("COUNTERSIGN_DB_SERVICE_HOST", "10.0.0.12"),
        ("COUNTERSIGN_DB_PORT", "tcp://10.0.0.12:5432"),
        ("COUNTERSIGN_DB_PORT_5432_TCP_ADDR", "10.0.0.12"),
    ];
    assert!(warned(&env(&links)).is_empty());
    assert_eq!(bad(&env(&[("COUNTERSIGN_PORT", "8080")])).len(), 1);
}

#[test]
fn names_of_later_versions_get_a_warning_in_every_place() {
    let warnings = warned(&places(
        &[("RATE_LIMIT_NOWHERE", "hunter2")],
        "RATE_LIMIT_ELSEWHERE=5/15m",
        "rate_limit_later = \"off\"",
    ));
    assert_eq!(
        warnings,
        [
            "`RATE_LIMIT_NOWHERE` (environment) is not used by this version",
            "`RATE_LIMIT_ELSEWHERE` (`.env` line 1) is not used by this version",
            "`rate_limit_later` (`countersign.toml` line 1) is not used by this version",
        ]
    );
    assert!(warned(&env(&[("RATE_LIMIT_NOWHERE", "")])).is_empty());
}

#[test]
fn lines_that_cannot_be_read_are_named_without_their_text() {
    assert_eq!(
        bad(&places(
            &[],
            "hunter2\nJWT_SECRET = hunter2\nCOUNTERSIGN_SECRET='hunter2\nBCRYPT_ROUNDS=11\nBCRYPT_ROUNDS=12",
            "bcrypt_rounds = true",
        )),
        [
            "`.env` line 1 is not of the form `NAME=value`",
            "`JWT_SECRET` (`.env` line 2) has white space before the `=`",
            "`COUNTERSIGN_SECRET` (`.env` line 3) has no closing quotation mark",
            "`BCRYPT_ROUNDS` (`.env` line 5) is set a second time, after line 4; delete one of the two lines",
            "`BCRYPT_ROUNDS` (`countersign.toml` line 1) must be a text, a number or a list of texts, not a TOML boolean",
        ]
    );
    let broken = bad(&places(&[], "", "jwt_secret = hunter2"));
    assert!(
        broken[0].starts_with("`countersign.toml` line 1 is not valid TOML"),
        "{broken:?}"
    );
    assert!(!broken.concat().contains("hunter2"));
}

#[test]
fn a_value_that_is_not_utf8_is_refused() {
    let mut sources = env(&[]);
    sources
        .env
        .insert("JWT_ALGORITHM".into(), OsString::from_vec(vec![0xff]));
    sources
        .env
        .insert("PATH".into(), OsString::from_vec(vec![0xff]));
    assert_eq!(
        bad(&sources),
        ["`JWT_ALGORITHM` (environment) is not UTF-8 text"]
    );
}

#[test]
fn the_settings_file_cannot_name_itself() {
    let problems = bad(&places(&[], "", "countersign_config = \"other.toml\""));
    assert!(
        problems[0].contains("cannot be set in the settings file itself"),
        "{problems:?}"
    );
}

#[test]
fn the_settings_file_is_the_named_one_or_the_usual_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let read = |option: Option<&str>| Sources::read(folder.path(), option.map(path));
    let found = |option| read(option).unwrap().config_file.map(|file| file.path);

    assert_eq!(found(None), None);
    write("countersign.toml", "bcrypt_rounds = 13");
    assert_eq!(found(None), Some(path("countersign.toml")));
    write("b.toml", "bcrypt_rounds = 14");
    write(".env", "COUNTERSIGN_CONFIG=b.toml");
    assert_eq!(found(None), Some(path("b.toml")));
    write("c.toml", "bcrypt_rounds = 15");
    assert_eq!(found(Some("c.toml")), Some(path("c.toml")));

    let problems = read(Some("missing.toml")).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("settings file `missing.toml` does not exist; "),
        "{problems:?}"
    );
    std::fs::write(folder.path().join("c.toml"), [0xff]).unwrap();
    assert!(
        read(Some("c.toml")).unwrap_err()[0]
            .to_string()
            .contains("is not UTF-8")
    );
}

#[test]
fn the_option_is_shown_as_the_source_of_the_settings_file() {
    let sources = Sources {
        config_option: Some(path("a.toml")),
        config_file: Some(file("a.toml", "bcrypt_rounds = 13")),
        ..env(&[("COUNTERSIGN_CONFIG", "b.toml")])
    };
    assert_eq!(
        shown(&sources, "COUNTERSIGN_CONFIG"),
        (Some("a.toml".into()), "`--config`".into())
    );
    assert_eq!(shown(&sources, "BCRYPT_ROUNDS").1, "`a.toml` line 1");
}
