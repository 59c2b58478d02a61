use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::{App, PASSWORD, minutes};

async fn patch(app: &App, token: &str, body: Value) -> Answer {
    app.patch("/auth/me").bearer(token).json(&body).send().await
}

#[tokio::test]
async fn read() {
    let app = App::new().await;
    let tokens = app.welcome("Ada@example.org").await;
    assert_snapshot!(app.me(&tokens.access).await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "created_at": "2027-01-15T08:00:00Z",
      "disabled": false,
      "email": "Ada@example.org",
      "email_verified": false,
      "id": "01a3185c-5000-783d-be35-de1817499667",
      "name": null,
      "roles": [],
      "updated_at": "2027-01-15T08:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn read_without_a_token() {
    let app = App::new().await;
    assert_snapshot!(app.get("/auth/me").send().await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "missing_token",
      "detail": "Send the access token as `Authorization: Bearer <token>`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 401,
      "title": "An access token is needed",
      "type": "/problems/missing_token"
    }
    "#);
}

#[tokio::test]
async fn read_with_a_malformed_token() {
    let app = App::new().await;
    assert_snapshot!(app.me("x.y.z").await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "invalid_token",
      "detail": "It is malformed, was not issued by this server, or is not meant for it.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 401,
      "title": "The access token is not valid",
      "type": "/problems/invalid_token"
    }
    "#);
}

#[tokio::test]
async fn read_with_an_expired_token() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.step(minutes(16));
    assert_snapshot!(app.me(&tokens.access).await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3186a-f600-7e89-af30-963784ae0865

    {
      "code": "token_expired",
      "detail": "Use the refresh token to get a new one.",
      "event_id": "01a3185c-5000-7857-8c6f-ae6d9b6f3b4a",
      "request_id": "01a3186a-f600-7e89-af30-963784ae0865",
      "session_id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
      "status": 401,
      "title": "The access token has expired",
      "type": "/problems/token_expired"
    }
    "#);
}

#[tokio::test]
async fn change() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.step(minutes(1));
    let answer = patch(&app, &tokens.access, json!({"name": " Ada Lovelace "})).await;
    assert_snapshot!(answer, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185d-3a60-7e89-af30-963784ae0865

    {
      "created_at": "2027-01-15T08:00:00Z",
      "disabled": false,
      "email": "ada@example.org",
      "email_verified": false,
      "id": "01a3185c-5000-783d-be35-de1817499667",
      "name": "Ada Lovelace",
      "roles": [],
      "updated_at": "2027-01-15T08:01:00Z"
    }
    "#);
    assert_eq!(app.me(&tokens.access).await.json(), answer.json());
}

#[tokio::test]
async fn a_name_stays_unless_it_is_given() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for (body, name) in [
        (json!({"name": "Ada"}), json!("Ada")),
        (json!({}), json!("Ada")),
        (json!({"name": null}), Value::Null),
        (json!({"name": "Ada"}), json!("Ada")),
        (json!({"name": " "}), Value::Null),
    ] {
        let answer = patch(&app, &tokens.access, body).await;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &name));
        assert_eq!(app.me(&tokens.access).await.json()["name"], name);
    }
}

#[tokio::test]
async fn change_to_what_may_not_be() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let answer = patch(&app, &tokens.access, json!({"name": "x".repeat(201)})).await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "validation_failed",
      "detail": "`name`: at most 200 characters",
      "errors": [
        {
          "code": "name_too_long",
          "detail": "at most 200 characters",
          "field": "name"
        }
      ],
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
    let answer = patch(&app, &tokens.access, json!({"name": 1})).await;
    assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
}

#[tokio::test]
async fn delete() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"password": PASSWORD});
    let deleting = app.delete("/auth/me").bearer(&tokens.access).json(&body);
    assert_snapshot!(deleting.send().await, @"
    204 No Content
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865
    ");
}

#[tokio::test]
async fn delete_without_the_right_password() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let without = app.delete("/auth/me").bearer(&tokens.access).send().await;
    assert_snapshot!(without, @r#"
    403 Forbidden
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "reauthentication_required",
      "detail": "Send the account's right `password` to delete it.",
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 403,
      "title": "The password is needed once more",
      "type": "/problems/reauthentication_required"
    }
    "#);
    for body in [
        json!({}),
        json!({"password": null}),
        json!({"password": "wrong"}),
    ] {
        let deleting = app.delete("/auth/me").bearer(&tokens.access).json(&body);
        let answer = deleting.send().await;
        assert_eq!(
            answer.problem(),
            (403, "reauthentication_required".to_owned())
        );
    }
    app.assert_live(&tokens).await;
}

#[tokio::test]
async fn delete_with_a_password_of_a_wrong_kind() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"password": 7});
    let deleting = app.delete("/auth/me").bearer(&tokens.access).json(&body);
    assert_eq!(
        deleting.send().await.problem(),
        (422, "validation_failed".to_owned())
    );
}
