//! Whoever tries passwords learns nothing but that this one was not right here.

use std::collections::BTreeMap;

use countersign_domain::limits::Rule;
use countersign_flows::{CreateUser, LimitPolicy};
use countersign_store::UserChange;
use serde_json::json;

use crate::answer::Answer;
use crate::app::{App, Choices, minutes};
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
        ("disabled@example.org", wrong()),
        ("disabled@example.org", "x".repeat(1_025)),
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

/// With a limit that is counted, never reached, and not told.
async fn with_users() -> App {
    let many = Rule::Window {
        limit: 1_000,
        window: minutes(15),
    };
    let limits = LimitPolicy {
        account: Some(many),
        ..LimitPolicy::default()
    };
    let app = App::with(Choices {
        limits,
        ..Choices::default()
    });
    let app = app.await;
    app.register("ada@example.org").await;
    app.register("disabled@example.org").await;
    let users = app.flows.users(&crate::app::OPERATOR);
    let disabled = users.get_by_email("disabled@example.org").await.unwrap();
    let change = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    users.update(disabled.unwrap().id, change).await.unwrap();
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

/// How often each operation of the store was done, and each limit asked.
async fn work_so_far(app: &App) -> BTreeMap<String, u64> {
    let figures = app.metrics().await;
    let counts = figures.lines().filter(|line| {
        [
            "countersign_store_operation_duration_seconds_count{",
            "countersign_rate_limit_taken_total{",
        ]
        .iter()
        .any(|name| line.starts_with(name))
    });
    let counts = counts.map(|line| {
        let (name, count) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), count.parse().unwrap())
    });
    counts.collect()
}

fn less(after: BTreeMap<String, u64>, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let done = after.into_iter().map(|(name, count)| {
        let earlier = before.get(&name).copied().unwrap_or_default();
        (name, count - earlier)
    });
    done.filter(|(_, count)| *count > 0).collect()
}

/// What has no form of an address is looked up nowhere. That says nothing about anybody: whoever
/// sends it knows what it is.
fn is_an_address(email: &str) -> bool {
    email.ends_with("@example.org") && !email.contains('\0')
}

/// Sends each failure, and holds all of them to the first: the same bytes after the same work.
async fn assert_alike(app: &App, send: impl AsyncFn(&str, &str) -> Answer) -> Answer {
    let mut first = None;
    let mut first_work = None;
    for (email, password) in failures() {
        let before = app.flows.hashing().computed();
        let work_before = work_so_far(app).await;
        let answer = send(email, &password).await;
        assert_eq!(
            app.flows.hashing().computed() - before,
            1,
            "hashes for {email}"
        );
        let work = less(work_so_far(app).await, &work_before);
        if is_an_address(email) {
            assert_eq!(work.values().sum::<u64>(), 3, "{work:?}");
            assert_eq!(
                &work,
                first_work.get_or_insert_with(|| work.clone()),
                "{email}"
            );
        }
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
