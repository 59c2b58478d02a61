use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::{App, PASSWORD};

async fn change(app: &App, token: &str, body: Value) -> Answer {
    let changing = app.post("/auth/password/change").bearer(token);
    changing.json(&body).send().await
}

#[tokio::test]
async fn to_a_good_one() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    assert_snapshot!(change(&app, &tokens.access, body).await, @"
    204 No Content
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865
    ");
}

#[tokio::test]
async fn from_a_wrong_one() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"current_password": "wrong", "new_password": "a better passphrase"});
    assert_snapshot!(change(&app, &tokens.access, body).await, @r#"
    403 Forbidden
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "invalid_credentials",
      "detail": "The password was not changed.",
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 403,
      "title": "The current password is wrong",
      "type": "/problems/invalid_credentials"
    }
    "#);
}

#[tokio::test]
async fn to_one_that_may_not_be() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"current_password": PASSWORD, "new_password": "short"});
    assert_snapshot!(change(&app, &tokens.access, body).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "validation_failed",
      "detail": "`new_password`: at least 8 characters",
      "errors": [
        {
          "code": "password_too_short",
          "detail": "at least 8 characters",
          "field": "new_password"
        }
      ],
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
    for (new, code) in [
        (json!("password1"), "password_breached"),
        (json!("x".repeat(1025)), "password_too_long"),
        (json!(null), "wrong_type"),
    ] {
        let body = json!({"current_password": PASSWORD, "new_password": new});
        let answer = change(&app, &tokens.access, body).await;
        assert_eq!(answer.status, 422, "{answer}");
        assert_eq!(answer.json()["errors"][0]["code"], code);
    }
    app.sign_in("ada@example.org").await;
}

#[tokio::test]
async fn without_saying_from_what_to_what() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    assert_snapshot!(change(&app, &tokens.access, json!({})).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "validation_failed",
      "detail": "`current_password`: is required; `new_password`: is required",
      "errors": [
        {
          "code": "required",
          "detail": "is required",
          "field": "current_password"
        },
        {
          "code": "required",
          "detail": "is required",
          "field": "new_password"
        }
      ],
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
}
