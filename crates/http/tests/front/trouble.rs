//! When the store is away, or more is asked of the server than it can do.

use std::num::NonZeroUsize;
use std::time::Duration;

use countersign_domain::address::AddressBlock;
use countersign_domain::password::PresentedPassword;
use insta::assert_snapshot;
use serde_json::json;

use crate::app::{App, Choices, PASSWORD};

#[tokio::test]
async fn no_store() {
    let app = App::new().await;
    app.store.close().await;
    assert_snapshot!(app.login("ada@example.org", PASSWORD).await, @r#"
    503 Service Unavailable
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 2
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "unavailable",
      "detail": "Its storage does not answer. Nothing was changed; try again after the time in `Retry-After`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 503,
      "title": "The server cannot do this right now",
      "type": "/problems/unavailable"
    }
    "#);
}

#[tokio::test]
async fn no_store_and_a_form() {
    let app = App::new().await;
    app.store.close().await;
    let answer = app.post("/auth/login").form("username=a@b.org&password=x");
    assert_snapshot!(answer.send().await, @r#"
    503 Service Unavailable
    content-type: application/json
    cache-control: no-store
    retry-after: 2
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "unavailable",
      "detail": "Its storage does not answer. Nothing was changed; try again after the time in `Retry-After`.",
      "error": "temporarily_unavailable",
      "error_description": "Its storage does not answer. Nothing was changed; try again after the time in `Retry-After`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 503,
      "title": "The server cannot do this right now",
      "type": "/problems/unavailable"
    }
    "#);
}

#[tokio::test]
async fn no_store_for_any_route_that_needs_one() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.store.close().await;
    let password = json!({"password": PASSWORD});
    let new = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    let registration = json!({"email": "eve@example.org", "password": PASSWORD});
    let refresh = json!({"refresh_token": tokens.refresh});
    for request in [
        app.post("/auth/register").json(&registration),
        app.post("/auth/refresh").json(&refresh),
        app.post("/auth/logout").json(&refresh),
        app.post("/auth/logout"),
        app.get("/auth/me"),
        app.patch("/auth/me").json(&json!({"name": "Ada"})),
        app.delete("/auth/me").json(&password),
        app.post("/auth/password/change").json(&new),
        app.get("/auth/sessions"),
        app.delete("/auth/sessions/00000000-0000-0000-0000-000000000000"),
    ] {
        let answer = request.bearer(&tokens.access).send().await;
        assert_eq!(
            answer.problem(),
            (503, "unavailable".to_owned()),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_needs_no_store_goes_on() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.assert_live(&tokens).await;
    app.store.close().await;
    app.assert_live(&tokens).await;
    assert_eq!(app.me("x").await.status, 401);
    for path in ["/healthz", "/.well-known/jwks.json", "/openapi.json"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn not_ready_without_a_store() {
    let app = App::new().await;
    app.store.close().await;
    assert_snapshot!(app.get("/readyz").send().await, @r#"
    503 Service Unavailable
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 2
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "unavailable",
      "dependencies": {
        "announcements": {
          "state": "up"
        },
        "database": {
          "state": "down"
        }
      },
      "detail": "Something that the server needs is down; see `dependencies`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 503,
      "title": "The server cannot do this right now",
      "type": "/problems/unavailable"
    }
    "#);
}

#[tokio::test]
async fn not_ready_when_nothing_was_heard_for_long() {
    let app = App::new().await;
    app.step(crate::app::seconds(6));
    let answer = app.get("/readyz").send().await;
    assert_eq!(
        answer.json()["dependencies"]["announcements"]["state"],
        "down"
    );
    assert_eq!(answer.json()["dependencies"]["database"]["state"], "up");
    app.flows.follow().await.unwrap();
    // What was found out just now is not found out again.
    assert_eq!(app.get("/readyz").send().await.status, 503);
    app.step(crate::app::seconds(1));
    assert_eq!(app.get("/readyz").send().await.status, 200);
}

/// An app whose one hashing thread has about a second of work, and that lets nobody wait.
async fn busy() -> App {
    let app = App::with(Choices {
        bcrypt_cost: 14,
        hash_lanes: NonZeroUsize::MIN,
        longest_wait: Duration::ZERO,
        ..Choices::default()
    })
    .await;
    let flows = app.flows.clone();
    let hashing = tokio::spawn(async move {
        let somebody = PresentedPassword::new("somebody");
        flows
            .hashing()
            .check(AddressBlock::None, somebody, None)
            .await
    });
    // Runs until it waits for its answer, so its work is queued from here on.
    tokio::task::yield_now().await;
    assert!(!hashing.is_finished());
    app
}

#[tokio::test]
async fn more_sign_ins_than_can_be_hashed() {
    let app = busy().await;
    let answer = app.login("ada@example.org", PASSWORD).await;
    assert!(app.flows.hashing().computed() <= 1);
    assert_snapshot!(answer, @r#"
    503 Service Unavailable
    content-type: application/problem+json
    cache-control: no-store
    retry-after: 1
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "overloaded",
      "detail": "Try again after the time in `Retry-After`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 503,
      "title": "Too many sign-ins at once",
      "type": "/problems/overloaded"
    }
    "#);
}

#[tokio::test]
async fn more_forms_than_can_be_hashed() {
    let app = busy().await;
    let answer = app.post("/auth/login").form("username=a@b.org&password=x");
    let answer = answer.send().await;
    assert_eq!(answer.problem(), (503, "overloaded".to_owned()));
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

#[tokio::test]
async fn more_registrations_than_can_be_hashed() {
    let app = busy().await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let answer = app.post("/auth/register").json(&body).send().await;
    assert_eq!(answer.problem(), (503, "overloaded".to_owned()));
    let body = json!({"email": "ada@example.org", "password": "short"});
    let answer = app.post("/auth/register").json(&body).send().await;
    assert_eq!(answer.status, 422);
}
