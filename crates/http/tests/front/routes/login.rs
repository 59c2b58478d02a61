use countersign_store::UserChange;
use insta::assert_snapshot;
use serde_json::json;

use crate::answer::Answer;
use crate::app::{App, PASSWORD};

async fn post_form(app: &App, form: &str) -> Answer {
    app.post("/auth/login").form(form).send().await
}

/// Ada, whose account an operator has disabled.
async fn disabled() -> App {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let users = app.flows.users(&crate::app::OPERATOR);
    let ada = users
        .get_by_email("ada@example.org")
        .await
        .unwrap()
        .unwrap();
    let change = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    users.update(ada.id, change).await.unwrap();
    app
}

#[tokio::test]
async fn json() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    assert_snapshot!(app.login("ADA@example.org", PASSWORD).await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-705d-aa4b-8acf76748aa2

    {
      "access_token": "[random]",
      "expires_in": 900,
      "refresh_expires_in": 2592000,
      "refresh_token": "cs_rt_ASBjC_23pqZEpbGqK1fa0LrQAAAAAIXyy8B9RWohWLKmL7YIONE8t4WUII7AAZG2ciD4euN4",
      "scope": "",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn a_form() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let form = "grant_type=password&username=ada%40example.org\
        &password=correct+horse+battery+staple&scope=admin&client_id=x";
    assert_snapshot!(post_form(&app, form).await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-705d-aa4b-8acf76748aa2

    {
      "access_token": "[random]",
      "expires_in": 900,
      "refresh_expires_in": 2592000,
      "refresh_token": "cs_rt_ASBjC_23pqZEpbGqK1fa0LrQAAAAAIXyy8B9RWohWLKmL7YIONE8t4WUII7AAZG2ciD4euN4",
      "scope": "",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn wrong_json() {
    let app = App::new().await;
    assert_snapshot!(app.login("ada@example.org", "wrong").await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "invalid_credentials",
      "detail": "There is no account with this e-mail address and password.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 401,
      "title": "The e-mail address or the password is wrong",
      "type": "/problems/invalid_credentials"
    }
    "#);
}

#[tokio::test]
async fn a_wrong_form() {
    let app = App::new().await;
    assert_snapshot!(post_form(&app, "username=ada@example.org&password=wrong").await, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "invalid_credentials",
      "detail": "There is no account with this e-mail address and password.",
      "error": "invalid_grant",
      "error_description": "There is no account with this e-mail address and password.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "The e-mail address or the password is wrong",
      "type": "/problems/invalid_credentials"
    }
    "#);
}

#[tokio::test]
async fn a_disabled_account_and_the_right_password() {
    let app = disabled().await;
    assert_snapshot!(app.login("ada@example.org", PASSWORD).await, @r#"
    403 Forbidden
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7857-8c6f-ae6d9b6f3b4a

    {
      "code": "account_disabled",
      "detail": "An operator has disabled this account.",
      "request_id": "01a3185c-5000-7857-8c6f-ae6d9b6f3b4a",
      "status": 403,
      "title": "The account is disabled",
      "type": "/problems/account_disabled"
    }
    "#);
}

#[tokio::test]
async fn a_disabled_account_and_the_right_password_in_a_form() {
    let app = disabled().await;
    let form = "username=ada@example.org&password=correct+horse+battery+staple";
    assert_snapshot!(post_form(&app, form).await, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7857-8c6f-ae6d9b6f3b4a

    {
      "code": "account_disabled",
      "detail": "An operator has disabled this account.",
      "error": "invalid_grant",
      "error_description": "An operator has disabled this account.",
      "request_id": "01a3185c-5000-7857-8c6f-ae6d9b6f3b4a",
      "status": 400,
      "title": "The account is disabled",
      "type": "/problems/account_disabled"
    }
    "#);
}

#[tokio::test]
async fn a_disabled_account_and_a_wrong_password() {
    let app = disabled().await;
    let answer = app.login("ada@example.org", "wrong").await;
    assert_eq!(answer.problem(), (401, "invalid_credentials".to_owned()));
}

#[tokio::test]
async fn another_grant_type() {
    let app = App::new().await;
    let form = "grant_type=client_credentials&username=a&password=b";
    assert_snapshot!(post_form(&app, form).await, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "unsupported_grant_type",
      "detail": "This route does not take that `grant_type`.",
      "error": "unsupported_grant_type",
      "error_description": "This route does not take that `grant_type`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "The grant type is not supported",
      "type": "/problems/unsupported_grant_type"
    }
    "#);
}

#[tokio::test]
async fn the_token_endpoint_of_oauth_clients_refreshes_too() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let form = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh);
    let next = post_form(&app, &form).await;
    assert_eq!(next.status, 200);
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
    let form = "grant_type=refresh_token&username=a&password=b";
    let refused = post_form(&app, form).await.json();
    assert_eq!(refused["error"], "invalid_request");
    assert_eq!(refused["error_description"], "`refresh_token`: is required");
    // What it does not know it says before it asks for anything.
    let refused = post_form(&app, "grant_type=client_credentials").await;
    assert_eq!(refused.json()["error"], "unsupported_grant_type");
    // JSON has no grants.
    let body = json!({"grant_type": "refresh_token", "refresh_token": tokens.refresh});
    let refused = app.post("/auth/login").json(&body).send().await;
    assert_eq!(refused.problem(), (422, "validation_failed".to_owned()));
}

#[tokio::test]
async fn missing_members() {
    let app = App::new().await;
    let answer = app.post("/auth/login").json(&json!({})).send().await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "validation_failed",
      "detail": "`email`: is required; `password`: is required",
      "errors": [
        {
          "code": "required",
          "detail": "is required",
          "field": "email"
        },
        {
          "code": "required",
          "detail": "is required",
          "field": "password"
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
async fn missing_parameters() {
    let app = App::new().await;
    assert_snapshot!(post_form(&app, "grant_type=password").await, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "validation_failed",
      "detail": "`username`: is required; `password`: is required",
      "error": "invalid_request",
      "error_description": "`username`: is required; `password`: is required",
      "errors": [
        {
          "code": "required",
          "detail": "is required",
          "field": "username"
        },
        {
          "code": "required",
          "detail": "is required",
          "field": "password"
        }
      ],
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
}

#[tokio::test]
async fn each_media_type_takes_only_its_own_name_of_the_user() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let body = json!({"username": "ada@example.org", "password": PASSWORD});
    let answer = app.post("/auth/login").json(&body).send().await;
    assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
    let form = "email=ada@example.org&password=correct+horse+battery+staple";
    let answer = post_form(&app, form).await;
    assert_eq!(answer.problem(), (400, "validation_failed".to_owned()));
}
