//! The operator's commands about users and sessions, beside a running server on the same database.

use countersign_tests::terminal::Terminal;
use countersign_tests::{Backend, Server, on_each_backend, within_a_second};
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

on_each_backend!(users_and_sessions);

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

    // What is changed reaches the running server, and the next access token.
    let update = [
        "user",
        "update",
        "ada@example.com",
        "--role",
        "staff",
        "--name",
        "",
    ];
    server.cli(&update).expect(0);
    // What the token says of its user is out of date; the session goes on.
    within_a_second("the end of the old token", async || {
        api.me(&session.access).await.code() == "token_outdated"
    })
    .await;
    let session = api.refresh(&session.refresh).await.tokens();
    within_a_second("the new role", async || {
        let me = api.me(&session.access).await.expect(200);
        me["roles"] == json!(["staff"]) && me["name"].is_null()
    })
    .await;
    let move_away = [
        "user",
        "update",
        "ada@example.com",
        "--email",
        "ada@example.net",
    ];
    server.cli(&move_away).expect(0);
    server.cli(&["user", "show", "ada@example.com"]).expect(1);
    let back = [
        "user",
        "update",
        "ada@example.net",
        "--email",
        "Ada@Example.com",
    ];
    server.cli(&back).expect(0);
    server
        .cli(&["user", "update", "ada@example.com", "--email", "nowhere"])
        .expect(1);
    let restore = [
        "user",
        "update",
        "ada@example.com",
        "--role",
        "admin",
        "--name",
        "Ada",
    ];
    server.cli(&restore).expect(0);

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
