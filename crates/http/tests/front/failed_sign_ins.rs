//! Whoever tries passwords learns nothing but that this one was not right here.

use countersign_flows::CreateUser;
use serde_json::json;

use crate::answer::Answer;
use crate::app::App;
use http::HeaderName;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every way to fail: the address, and the password.
fn failures() -> Vec<(&'static str, String)> {
    let wrong = || "wrong".to_owned();
    vec![
        ("nobody@example.org", wrong()),
        ("ada@example.org", wrong()),
        ("passwordless@example.org", wrong()),
        ("passwordless@example.org", String::new()),
        ("ada@example.org", String::new()),
        ("ada@example.org", "x".repeat(1_025)),
        ("nobody@example.org", "x".repeat(40_000)),
        ("ada@example.org", "correct horse battery staplE".to_owned()),
        (
            "ada@example.org",
            "correct horse battery staple\0".to_owned(),
        ),
        ("", wrong()),
        ("no address", wrong()),
        ("a\0da@example.org", wrong()),
        ("' OR 1=1 --", wrong()),
    ]
}

async fn with_users() -> App {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let passwordless = CreateUser {
        email: "passwordless@example.org",
        ..CreateUser::default()
    };
    app.flows
        .users(&crate::app::OPERATOR)
        .create(passwordless)
        .await
        .unwrap();
    app
}

/// Sends each failure, and holds all of them to the first: the same bytes after the same work.
async fn assert_alike(app: &App, send: impl AsyncFn(&str, &str) -> Answer) -> Answer {
    let mut first = None;
    for (email, password) in failures() {
        let before = app.flows.hashing().computed();
        let answer = send(email, &password).await;
        assert_eq!(
            app.flows.hashing().computed() - before,
            1,
            "hashes for {email}"
        );
        assert_eq!(
            &answer,
            first.get_or_insert_with(|| answer.clone()),
            "{email}"
        );
    }
    first.unwrap()
}

#[tokio::test]
async fn in_json() {
    let app = with_users().await;
    let answer = assert_alike(&app, async |email, password| {
        let body = json!({"email": email, "password": password});
        let login = app.post("/auth/login").json(&body);
        login.header(REQUEST_ID, "the-same").send().await
    });
    assert_eq!(
        answer.await.problem(),
        (401, "invalid_credentials".to_owned())
    );
}

#[tokio::test]
async fn in_a_form() {
    let app = with_users().await;
    let answer = assert_alike(&app, async |email, password| {
        let form = format!("username={email}&password={password}").replace('\0', "%00");
        let login = app.post("/auth/login").form(&form.replace("=1", "%3D1"));
        login.header(REQUEST_ID, "the-same").send().await
    });
    assert_eq!(
        answer.await.problem(),
        (400, "invalid_credentials".to_owned())
    );
}

#[tokio::test]
async fn a_password_that_is_asked_for_again_costs_the_same_when_it_is_wrong() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for password in ["wrong", "", &"x".repeat(2_000)] {
        let before = app.flows.hashing().computed();
        let body = json!({"current_password": password, "new_password": "a better passphrase"});
        let change = app.post("/auth/password/change").bearer(&tokens.access);
        assert_eq!(change.json(&body).send().await.status, 403);
        let body = json!({"password": password});
        let delete = app.delete("/auth/me").bearer(&tokens.access);
        assert_eq!(delete.json(&body).send().await.status, 403);
        assert_eq!(app.flows.hashing().computed() - before, 2);
    }
}
