//! No secret is in anything that can be printed.

use countersign_server::cli::ConfigCommand;
use countersign_server::commands::config;
use countersign_server::exit::Exit;
use countersign_server::settings::{Settings, Sources};

use crate::{OTHER_SECRET, SECRET, env, good, places, shown};

/// Everything that either command prints about these sources, in both forms, and all `Debug` texts.
fn everything(sources: &dyn Fn() -> Sources) -> String {
    let mut text = Vec::new();
    for command in [ConfigCommand::Check, ConfigCommand::Show] {
        for json in [false, true] {
            let mut err = Vec::new();
            config::run(&command, json, Ok(sources()), &mut text, &mut err).unwrap();
            text.extend(err);
        }
    }
    let debug = format!("{:?} {:?}", Settings::load(&sources()), sources());
    String::from_utf8(text).unwrap() + &debug
}

#[test]
fn right_secrets_are_hidden() {
    let url = "postgres://user:hunter2@db.example/app?sslmode=require&sslpassword=hunter2";
    let from_env = || {
        env(&[
            ("COUNTERSIGN_SECRET", SECRET),
            ("JWT_SECRET", OTHER_SECRET),
            ("JWT_ALGORITHM", "HS256"),
            ("DATABASE_URL", url),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://a.example"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2"),
        ])
    };
    let from_dotenv = || {
        places(
            &[],
            &format!("COUNTERSIGN_SECRET={SECRET}\nJWT_SECRET={OTHER_SECRET}\nDATABASE_URL={url}"),
            "",
        )
    };
    let from_toml = || {
        let text = format!(
            "countersign_secret = '{SECRET}'\njwt_secret = '{OTHER_SECRET}'\ndatabase_url = '{url}'"
        );
        places(&[], "", &text)
    };
    for sources in [&from_env as &dyn Fn() -> Sources, &from_dotenv, &from_toml] {
        let text = everything(sources);
        for secret in [SECRET, OTHER_SECRET, "hunter2"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("(hidden, 32 bytes)") && text.contains("(hidden, 48 bytes)"));
        assert!(
            text.contains(
                "postgres://user:hidden@db.example/app?sslmode=require&sslpassword=hidden"
            )
        );
    }
    assert_eq!(
        shown(&from_env(), "JWT_SECRET").0.as_deref(),
        Some("(hidden, 48 bytes)")
    );
}

#[test]
fn wrong_secrets_are_hidden_too() {
    for url in [
        "mysql://user:hunter2@h/d",
        "hunter2",
        "postgres://user:hunter2#x@h/d",
        "postgres://user:1/hunter2@h/d",
        "postgres://user:1?hunter2@h/d",
        "postgres://user:1#hunter2@h/d",
        "postgres:user:hunter2@h",
        "postgresql://user:hunter2@h:port/d",
    ] {
        let sources = || {
            env(&[
                ("DATABASE_URL", url),
                ("JWT_SECRET", "hunter2"),
                ("COUNTERSIGN_SECRET", "hunter2\n"),
                ("COUNTERSIGN_ISSUER", "https://user:hunter2@a.example"),
                ("COUNTERSIGN_CORS_ORIGINS", "https://user:hunter2@a.example"),
                (
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    "https://user:hunter2@a.example",
                ),
                ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
                ("REDIS_URL", "redis://:hunter2@h:port"),
                ("COUNTERSIGN_SECRETS", "hunter2"),
            ])
        };
        let text = everything(&sources);
        assert!(!text.contains("hunter2"), "{text}");
        for name in [
            "DATABASE_URL",
            "JWT_SECRET",
            "COUNTERSIGN_SECRET",
            "COUNTERSIGN_ISSUER",
            "COUNTERSIGN_CORS_ORIGINS",
            "REDIS_URL",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_HEADERS",
        ] {
            assert!(text.contains(&format!("`{name}` (environment)")), "{text}");
        }
    }
}

#[test]
fn a_secret_on_a_line_that_cannot_be_read_is_hidden() {
    let sources = || {
        places(
            &[],
            "JWT_SECRET=hunter2 hunter2",
            "jwt_secret = \"hunter2\nbcrypt_rounds = 12",
        )
    };
    let text = everything(&sources);
    assert!(
        !text.contains("hunter2") && text.contains("`.env` line 1"),
        "{text}"
    );
}

#[test]
fn commands_answer_in_both_forms() {
    let answer = |command, json, pairs: &[_]| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = config::run(&command, json, Ok(env(pairs)), &mut out, &mut err).unwrap();
        (
            exit,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    };
    let doubtful = [("BCRYPT_ROUNDS", "8")];
    let (exit, out, err) = answer(ConfigCommand::Check, false, &doubtful);
    assert_eq!((exit, out.as_str()), (Exit::Ok, "settings are valid\n"));
    assert_eq!(
        err,
        "warning: `BCRYPT_ROUNDS` (environment) is below 10: stolen password hashes are quick to guess\n"
    );

    let (exit, out, err) = answer(ConfigCommand::Check, true, &doubtful);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (exit, err.as_str(), &json["valid"]),
        (Exit::Ok, "", &true.into())
    );
    assert_eq!(json["warnings"][0]["setting"], "BCRYPT_ROUNDS");

    let (exit, out, err) = answer(ConfigCommand::Show, false, &doubtful);
    assert!(exit == Exit::Ok && err.starts_with("warning: "));
    assert!(
        out.lines().any(|line| line
            .split_whitespace()
            .eq(["BCRYPT_ROUNDS", "8", "environment"])),
        "{out}"
    );
    assert_eq!(out.lines().count(), 1 + good(&env(&[])).rows.len());

    let (_, out, _) = answer(ConfigCommand::Show, true, &doubtful);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let rows = json["settings"].as_array().unwrap();
    assert!(
        rows.iter()
            .any(|row| row["setting"] == "BCRYPT_ROUNDS" && row["from"] == "environment"),
        "{out}"
    );

    let wrong = [("BCRYPT_ROUNDS", "3")];
    for command in [ConfigCommand::Check, ConfigCommand::Show] {
        let (exit, out, err) = answer(command, false, &wrong);
        assert_eq!(
            (exit, out.as_str(), err.lines().count()),
            (Exit::Settings, "", 1)
        );
    }
    let (exit, out, err) = answer(ConfigCommand::Check, true, &wrong);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (exit, err.as_str(), &json["problems"][0]["value"]),
        (Exit::Settings, "", &"3".into())
    );
}
