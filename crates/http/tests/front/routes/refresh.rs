use insta::assert_snapshot;
use serde_json::json;

use crate::answer::{Answer, Tokens};
use crate::app::{App, days, seconds};

async fn post_form(app: &App, tokens: &Tokens) -> Answer {
    let form = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh);
    app.post("/auth/refresh").form(&form).send().await
}

async fn signed_in() -> (App, Tokens) {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    (app, tokens)
}

/// A session whose first refresh token was used, and whose grace period is over.
async fn rotated() -> (App, Tokens) {
    let (app, tokens) = signed_in().await;
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
    app.step(seconds(31));
    (app, tokens)
}

async fn signed_out() -> (App, Tokens) {
    let (app, tokens) = signed_in().await;
    let bye = app.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_eq!(bye.status, 204);
    (app, tokens)
}

#[tokio::test]
async fn json_in_use() {
    let (app, tokens) = signed_in().await;
    assert_snapshot!(app.refresh(&tokens.refresh).await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "access_token": "[random]",
      "expires_in": 900,
      "refresh_expires_in": 2592000,
      "refresh_token": "cs_rt_ASBjC_23pqZEpbGqK1fa0LrQAAAAAYO2lbF0u8XzXFujtAgBpIvwaZkV00uYr6SRoNsWCibx",
      "scope": "",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn a_form() {
    let (app, tokens) = signed_in().await;
    assert_snapshot!(post_form(&app, &tokens).await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "access_token": "[random]",
      "expires_in": 900,
      "refresh_expires_in": 2592000,
      "refresh_token": "cs_rt_ASBjC_23pqZEpbGqK1fa0LrQAAAAAYO2lbF0u8XzXFujtAgBpIvwaZkV00uYr6SRoNsWCibx",
      "scope": "",
      "token_type": "Bearer"
    }
    "#);
}

#[tokio::test]
async fn a_token_of_nobody() {
    let app = App::new().await;
    assert_snapshot!(app.refresh("cs_rt_AAAA").await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "invalid_refresh_token",
      "detail": "It was not issued by this server, or its session is long gone. Sign in again.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 401,
      "title": "The refresh token is not valid",
      "type": "/problems/invalid_refresh_token"
    }
    "#);
}

#[tokio::test]
async fn a_token_of_nobody_in_a_form() {
    let app = App::new().await;
    let answer = app
        .post("/auth/refresh")
        .form("refresh_token=x")
        .send()
        .await;
    assert_snapshot!(answer, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "invalid_refresh_token",
      "detail": "It was not issued by this server, or its session is long gone. Sign in again.",
      "error": "invalid_grant",
      "error_description": "It was not issued by this server, or its session is long gone. Sign in again.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "The refresh token is not valid",
      "type": "/problems/invalid_refresh_token"
    }
    "#);
}

#[tokio::test]
async fn an_expired_session() {
    let (app, tokens) = signed_in().await;
    app.step(days(30));
    assert_snapshot!(app.refresh(&tokens.refresh).await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3b2db-1800-7e89-af30-963784ae0865

    {
      "code": "session_expired",
      "detail": "It was not used for too long, or has reached its greatest age. Sign in again.",
      "event_id": "0853e39e-83fd-8917-874d-91d08cb16204",
      "request_id": "01a3b2db-1800-7e89-af30-963784ae0865",
      "session_id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
      "status": 401,
      "title": "The session has expired",
      "type": "/problems/session_expired"
    }
    "#);
}

#[tokio::test]
async fn an_ended_session() {
    let (app, tokens) = signed_out().await;
    assert_snapshot!(app.refresh(&tokens.refresh).await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-5000-7d8f-94d1-0efdf17eac06

    {
      "code": "session_revoked",
      "detail": "Its tokens no longer work. Sign in again.",
      "event_id": "01a3185c-5000-7687-a965-68c4e2109c44",
      "request_id": "01a3185c-5000-7d8f-94d1-0efdf17eac06",
      "session_id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
      "status": 401,
      "title": "The session has ended",
      "type": "/problems/session_revoked"
    }
    "#);
}

#[tokio::test]
async fn a_token_that_was_used() {
    let (app, tokens) = rotated().await;
    assert_snapshot!(app.refresh(&tokens.refresh).await, @r#"
    401 Unauthorized
    content-type: application/problem+json
    cache-control: no-store
    www-authenticate: Bearer error="invalid_token"
    x-request-id: 01a3185c-c918-7d8f-94d1-0efdf17eac06

    {
      "code": "refresh_token_reused",
      "detail": "A used refresh token was presented again, which means that somebody holds a copy. The session has been ended. Sign in again.",
      "event_id": "01a3185c-c918-7fb9-aad1-c5057349f7b6",
      "request_id": "01a3185c-c918-7d8f-94d1-0efdf17eac06",
      "session_id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
      "status": 401,
      "title": "The refresh token had been used before",
      "type": "/problems/refresh_token_reused"
    }
    "#);
}

#[tokio::test]
async fn a_token_that_was_used_in_a_form() {
    let (app, tokens) = rotated().await;
    assert_snapshot!(post_form(&app, &tokens).await, @r#"
    400 Bad Request
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-c918-7d8f-94d1-0efdf17eac06

    {
      "code": "refresh_token_reused",
      "detail": "A used refresh token was presented again, which means that somebody holds a copy. The session has been ended. Sign in again.",
      "error": "invalid_grant",
      "error_description": "A used refresh token was presented again, which means that somebody holds a copy. The session has been ended. Sign in again.",
      "event_id": "01a3185c-c918-7fb9-aad1-c5057349f7b6",
      "request_id": "01a3185c-c918-7d8f-94d1-0efdf17eac06",
      "session_id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
      "status": 400,
      "title": "The refresh token had been used before",
      "type": "/problems/refresh_token_reused"
    }
    "#);
}

#[tokio::test]
async fn forms_of_dead_sessions() {
    let (app, tokens) = signed_out().await;
    let answer = post_form(&app, &tokens).await;
    assert_eq!(answer.problem(), (400, "session_revoked".to_owned()));
    assert_eq!(answer.json()["error"], "invalid_grant");
    let (app, tokens) = signed_in().await;
    app.step(days(30));
    let answer = post_form(&app, &tokens).await;
    assert_eq!(answer.problem(), (400, "session_expired".to_owned()));
    assert_eq!(answer.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn another_grant_type() {
    let app = App::new().await;
    let form = "grant_type=password&refresh_token=x";
    assert_snapshot!(app.post("/auth/refresh").form(form).send().await, @r#"
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
async fn no_token() {
    let app = App::new().await;
    let answer = app.post("/auth/refresh").json(&json!({})).send().await;
    assert_snapshot!(answer, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "validation_failed",
      "detail": "`refresh_token`: is required",
      "errors": [
        {
          "code": "required",
          "detail": "is required",
          "field": "refresh_token"
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
async fn a_changed_token_is_nobodys() {
    let (app, tokens) = signed_in().await;
    let genuine = tokens.refresh.as_bytes();
    for at in 0..genuine.len() {
        let mut changed = genuine.to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let answer = app.refresh(std::str::from_utf8(&changed).unwrap()).await;
        assert_eq!(
            answer.problem(),
            (401, "invalid_refresh_token".to_owned()),
            "{at}"
        );
    }
    for text in [
        "",
        "cs_rt_",
        &tokens.refresh[6..],
        &format!("{}A", tokens.refresh),
        &tokens.access,
    ] {
        let answer = app.refresh(text).await;
        assert_eq!(
            answer.problem(),
            (401, "invalid_refresh_token".to_owned()),
            "{text}"
        );
    }
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
}
