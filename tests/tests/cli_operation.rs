//! The operator's commands about keys, the schema and the settings, beside a running server on the same database.

use countersign_tests::{Api, Backend, Server, Setup, on_each_backend, within_a_second};
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

on_each_backend!(keys, a_schema_is_planned_then_migrated, doctor_and_config);

async fn keys(backend: Backend) {
    let server = Server::start(backend).await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;
    let list = || {
        server.cli(&["keys", "list", "--json"]).json()["items"]
            .as_array()
            .unwrap()
            .clone()
    };
    let [first] = &list()[..] else {
        panic!("one key at first")
    };
    let kid = first["kid"].as_str().unwrap().to_owned();
    assert_eq!(first["algorithm"], "EdDSA");
    assert!(
        server
            .cli(&["keys", "list"])
            .expect(0)
            .stdout
            .contains(&kid)
    );

    server.cli(&["keys", "rotate", "--json"]).json();
    assert_eq!(list().len(), 2);
    within_a_second("the next key", async || published(&api).await.len() == 2).await;
    api.me(&session.access).await.expect(200);
    let fresh = api.refresh(&session.refresh).await.tokens();
    assert_eq!(
        key_id(&fresh.access),
        kid,
        "the old key signs until every API can have the new one"
    );

    server
        .cli(&["keys", "rotate", "--emergency", "--json"])
        .json();
    within_a_second("the emergency", async || {
        !published(&api).await.contains(&kid)
    })
    .await;
    api.me(&session.access)
        .await
        .expect_problem(401, "invalid_token");
    api.refresh(&fresh.refresh)
        .await
        .expect_problem(401, "session_revoked");
    let fresh = api
        .login("ada@example.com", "correct horse battery")
        .await
        .tokens();
    assert_ne!(key_id(&fresh.access), kid);
    api.me(&fresh.access).await.expect(200);
}

async fn published(api: &Api) -> Vec<String> {
    let set = api.get("/.well-known/jwks.json").await.expect(200);
    set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// The `kid` of a token.
fn key_id(token: &str) -> String {
    use base64::Engine;
    let header = base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(token.split('.').next().unwrap())
        .unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn a_schema_is_planned_then_migrated(backend: Backend) {
    let mut server = Setup::new(backend)
        .set("COUNTERSIGN_MIGRATE", "off")
        .prepare()
        .await;
    let plan = server.cli(&["migrate", "--plan", "--json"]).json();
    assert!(!plan["pending"].as_array().unwrap().is_empty(), "{plan}");
    assert!(
        server
            .cli(&["migrate", "--plan"])
            .expect(0)
            .stdout
            .contains("CREATE TABLE")
    );
    let (code, output) = server.run_refused();
    assert!(
        matches!(code, Some(1 | 78)) && output.contains("countersign migrate"),
        "{code:?} {output}"
    );
    let applied = server.cli(&["migrate", "--json"]).json();
    assert_eq!(
        applied["applied"].as_array().unwrap().len(),
        plan["pending"].as_array().unwrap().len()
    );
    assert_eq!(
        server.cli(&["migrate", "--json"]).json()["applied"],
        json!([])
    );
    assert_eq!(
        server.cli(&["migrate", "--plan", "--json"]).json()["pending"],
        json!([])
    );
    server.launch().await;
    server.api().new_session("ada@example.com", PASSWORD).await;
}

async fn doctor_and_config(backend: Backend) {
    let secret = "kept/9vJx2mQe7rTnLd4hBvXcGaKsJiE0yqk1fWm6Yx0Zp2u=";
    let mut server = Setup::new(backend)
        .set("COUNTERSIGN_SECRET", secret)
        .start()
        .await;
    for command in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["config", "check"],
        &["config", "show"],
        &["config", "show", "--json"],
    ] {
        let outcome = server.cli(command).expect(0);
        assert!(
            !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
            "{command:?} shows the root secret"
        );
    }
    let shown = server.cli(&["config", "show", "--json"]).json().to_string();
    assert!(
        shown.contains("COUNTERSIGN_SECRET") && shown.contains("BCRYPT_ROUNDS"),
        "{shown}"
    );
    server.cli(&["doctor", "--json"]).json();
    assert_eq!(
        server.cli(&["openapi"]).json()["openapi"],
        server.api().get("/openapi.json").await.expect(200)["openapi"]
    );
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            server
                .cli(&["completions", shell])
                .expect(0)
                .stdout
                .contains("countersign")
        );
    }
    assert!(server.cli(&["man"]).expect(0).stdout.contains(".TH"));
    server.cli(&["nonsense"]).expect(2);

    server.set("BCRYPT_ROUNDS", "many");
    for command in [&["config", "check"][..], &["doctor"], &["user", "list"]] {
        let outcome = server.cli(command);
        assert!(
            matches!(outcome.code, Some(1 | 78)),
            "{command:?}: {outcome:?}"
        );
        assert!(
            format!("{}{}", outcome.stdout, outcome.stderr).contains("BCRYPT_ROUNDS"),
            "{command:?}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_so() {
    let mut server = Setup::new(Backend::Sqlite).prepare().await;
    server.set("DATABASE_URL", "postgres://ada:hush-hush@127.0.0.1:1/none");
    for command in [&["user", "list"][..], &["migrate"], &["keys", "list"]] {
        let outcome = server.cli(command).expect(69);
        assert!(!outcome.stderr.contains("hush-hush"), "{}", outcome.stderr);
    }
}
