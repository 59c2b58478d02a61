//! The operator's commands, beside a running server on the same database.

use std::time::Duration;

use countersign_tests::terminal::Terminal;
use countersign_tests::{Api, Backend, Server, Setup, on_each_backend};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";

on_each_backend!(
    users_and_sessions,
    keys,
    a_schema_is_planned_then_migrated,
    doctor_and_config
);

/// Asks until the server follows what a command has done, which it promises within a second.
async fn within_a_second(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{what}: not within a second"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

async fn users_and_sessions(backend: Backend) {
    let server = Server::start(backend).await;
    let api = server.api();
    let create = [
        "user",
        "create",
        "Ada@Example.com",
        "--name",
        "Ada",
        "--role",
        "admin",
        "--password-stdin",
        "--json",
    ];
    let created = server
        .cli_with_input(&create, &format!("{PASSWORD}\n"))
        .json();
    let id = created["id"].as_str().unwrap().to_owned();
    assert_eq!(
        [&created["email"], &created["name"]],
        ["Ada@Example.com", "Ada"]
    );
    assert_eq!(created["roles"], json!(["admin"]));
    let session = api.login("ada@example.com", PASSWORD).await.tokens();
    assert_eq!(api.me(&session.access).await.expect(200)["id"], id.as_str());

    // Refused, in words and without a trace of the password.
    let again = server
        .cli_with_input(&create, &format!("{PASSWORD}\n"))
        .expect(1);
    assert!(
        again.stderr.contains("Ada@Example.com") || again.stderr.contains("e-mail"),
        "{}",
        again.stderr
    );
    let common = ["user", "create", "bob@example.com", "--password-stdin"];
    let weak = server.cli_with_input(&common, "password123\n").expect(1);
    assert!(
        weak.stderr.contains("password") && !weak.stderr.contains("password123"),
        "{}",
        weak.stderr
    );
    server.cli(&["user", "create", "bob@example.com"]).expect(1);
    server
        .cli(&["user", "create", "bob@example.com", "--password", PASSWORD])
        .expect(2);
    server
        .cli(&["user", "show", "nobody@example.com"])
        .expect(1);

    for user in [id.as_str(), "ADA@example.com"] {
        assert_eq!(
            server.cli(&["user", "show", user, "--json"]).json()["id"],
            id.as_str()
        );
    }
    assert!(
        server
            .cli(&["user", "show", &id])
            .expect(0)
            .stdout
            .contains("Ada@Example.com")
    );
    let list = server.cli(&["user", "list", "--json"]).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert!(server.cli(&["user", "list"]).expect(0).stdout.contains(&id));

    let sessions = server.cli(&["session", "list", &id, "--json"]).json();
    let [only] = &sessions["items"].as_array().unwrap()[..] else {
        panic!("{sessions}")
    };
    let sid = only["id"].as_str().unwrap();
    assert!(
        server
            .cli(&["session", "list", &id])
            .expect(0)
            .stdout
            .contains(sid)
    );
    server.cli(&["session", "revoke", sid, "--json"]).json();
    within_a_second("a revoked session", async || {
        api.me(&session.access).await.status == 401
    })
    .await;
    api.refresh(&session.refresh)
        .await
        .expect_problem(401, "session_revoked");
    server
        .cli(&["session", "revoke", "00000000-0000-4000-8000-000000000000"])
        .expect(1);
    server.cli(&["session", "revoke", "x"]).expect(2);

    let session = api.login("ada@example.com", PASSWORD).await.tokens();
    server.cli(&["user", "sign-out", &id]).expect(0);
    within_a_second("a sign-out", async || {
        api.me(&session.access).await.status == 401
    })
    .await;
    assert_eq!(api.refresh(&session.refresh).await.status, 401);

    let session = api.login("ada@example.com", PASSWORD).await.tokens();
    assert_eq!(
        server.cli(&["user", "disable", &id, "--json"]).json()["disabled"],
        true
    );
    within_a_second("disabling", async || {
        api.me(&session.access).await.status == 401
    })
    .await;
    api.login("ada@example.com", PASSWORD)
        .await
        .expect_problem(403, "account_disabled");
    api.login("ada@example.com", "wrong password")
        .await
        .expect_problem(401, "invalid_credentials");
    server.cli(&["user", "enable", &id]).expect(0);
    let session = api.login("ada@example.com", PASSWORD).await.tokens();

    let set = [
        "user",
        "set-password",
        "ada@example.com",
        "--password-stdin",
    ];
    server.cli_with_input(&set, "another good one\n").expect(0);
    within_a_second("a new password", async || {
        api.me(&session.access).await.status == 401
    })
    .await;
    api.login("ada@example.com", PASSWORD)
        .await
        .expect_problem(401, "invalid_credentials");
    let session = api
        .login("ada@example.com", "another good one")
        .await
        .tokens();

    let unasked = server.cli(&["user", "delete", &id]).expect(1);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    server.cli(&["user", "delete", &id, "--yes"]).expect(0);
    within_a_second("a deletion", async || {
        api.me(&session.access).await.status == 401
    })
    .await;
    api.login("ada@example.com", "another good one")
        .await
        .expect_problem(401, "invalid_credentials");
    server.cli(&["user", "show", &id]).expect(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_asked_for_and_not_shown() {
    let server = Server::start(Backend::Sqlite).await;
    for (second, code) in [(PASSWORD, 0), ("something else", 1)] {
        let email = format!("user{code}@example.com");
        let mut terminal = Terminal::start(&server.command(&["user", "create", &email]));
        terminal.answer_unseen("Password: ", PASSWORD);
        terminal.answer_unseen("Once more: ", second);
        assert_eq!(terminal.wait(), Some(code), "{}", terminal.shown);
        assert!(!terminal.shown.contains(PASSWORD), "{}", terminal.shown);
        assert_eq!(
            server.api().login(&email, PASSWORD).await.status == 200,
            code == 0
        );
    }
}

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
    let fresh = api.refresh(&fresh.refresh).await.tokens();
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
