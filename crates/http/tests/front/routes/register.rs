use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::{App, PASSWORD};

async fn register(app: &App, body: Value) -> Answer {
    app.post("/auth/register").json(&body).send().await
}

#[tokio::test]
async fn a_new_user() {
    let app = App::new().await;
    let body = json!({"email": "Ada@Example.org", "password": PASSWORD, "name": " Ada "});
    assert_snapshot!(register(&app, body).await, @r#"
    201 Created
    content-type: application/json
    cache-control: no-store
    location: /auth/me
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "created_at": "2027-01-15T08:00:00Z",
      "disabled": false,
      "email": "Ada@Example.org",
      "email_verified": false,
      "id": "01a3185c-5000-783d-be35-de1817499667",
      "name": "Ada",
      "roles": [],
      "updated_at": "2027-01-15T08:00:00Z"
    }
    "#);
}

#[tokio::test]
async fn a_name_may_be_left_out_null_or_empty() {
    let app = App::new().await;
    for (number, name) in [json!({}), json!({"name": null}), json!({"name": "  "})]
        .iter_mut()
        .enumerate()
    {
        name["email"] = format!("user{number}@example.org").into();
        name["password"] = PASSWORD.into();
        let answer = register(&app, name.clone()).await;
        assert_eq!(answer.json()["name"], Value::Null, "{answer}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_however_it_is_spelled() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let body = json!({"email": "ADA@example.ORG", "password": PASSWORD});
    assert_snapshot!(register(&app, body).await, @r#"
    409 Conflict
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-705d-aa4b-8acf76748aa2

    {
      "code": "email_taken",
      "detail": "An account with this e-mail address exists.",
      "request_id": "01a3185c-5000-705d-aa4b-8acf76748aa2",
      "status": 409,
      "title": "The e-mail address is taken",
      "type": "/problems/email_taken"
    }
    "#);
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let app = App::new().await;
    let body = json!({"email": "ada", "password": "short", "name": "a\u{7}b"});
    assert_snapshot!(register(&app, body).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "validation_failed",
      "detail": "`email`: not an e-mail address of the form `name@example.org`; `password`: at least 8 characters; `name`: without control characters",
      "errors": [
        {
          "code": "email_invalid",
          "detail": "not an e-mail address of the form `name@example.org`",
          "field": "email"
        },
        {
          "code": "password_too_short",
          "detail": "at least 8 characters",
          "field": "password"
        },
        {
          "code": "name_invalid",
          "detail": "without control characters",
          "field": "name"
        }
      ],
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
}

#[tokio::test]
async fn members_that_are_missing_or_of_a_wrong_kind() {
    let app = App::new().await;
    assert_snapshot!(register(&app, json!({"email": 7, "name": []})).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "validation_failed",
      "detail": "`email`: must be a string; `password`: is required; `name`: must be a string or null",
      "errors": [
        {
          "code": "wrong_type",
          "detail": "must be a string",
          "field": "email"
        },
        {
          "code": "required",
          "detail": "is required",
          "field": "password"
        },
        {
          "code": "wrong_type",
          "detail": "must be a string or null",
          "field": "name"
        }
      ],
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
}

#[tokio::test]
async fn what_is_wrong_with_a_field() {
    let app = App::new().await;
    let good = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
    let long = |length| "x".repeat(length);
    for (field, value, code) in [
        ("email", json!(""), "email_invalid"),
        ("email", json!("ada@"), "email_invalid"),
        ("email", json!("a\u{0}da@example.org"), "email_invalid"),
        (
            "email",
            json!(format!("{}@example.org", long(300))),
            "email_invalid",
        ),
        ("email", json!(null), "wrong_type"),
        ("password", json!(""), "password_too_short"),
        ("password", json!("1234567"), "password_too_short"),
        ("password", json!(long(1025)), "password_too_long"),
        ("password", json!("password1"), "password_breached"),
        ("password", json!({"a": 1}), "wrong_type"),
        ("name", json!(long(201)), "name_too_long"),
        ("name", json!("a\u{0}b"), "name_invalid"),
        ("name", json!("a\u{202e}b"), "name_invalid"),
        ("name", json!(true), "wrong_type"),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let answer = register(&app, body).await;
        assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
        let error = &answer.json()["errors"][0];
        assert_eq!(
            (&error["field"], &error["code"]),
            (&json!(field), &json!(code)),
            "{value}"
        );
    }
}

#[tokio::test]
async fn the_longest_password_and_name_work() {
    let app = App::new().await;
    let password = "é".repeat(512);
    let body = json!({"email": "ada@example.org", "password": password, "name": "é".repeat(200)});
    assert_eq!(register(&app, body).await.status, 201);
    assert_eq!(app.login("ada@example.org", &password).await.status, 200);
    let one_less = "é".repeat(511);
    assert_eq!(app.login("ada@example.org", &one_less).await.status, 401);
}
