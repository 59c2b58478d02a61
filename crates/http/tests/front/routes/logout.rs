use insta::assert_snapshot;
use serde_json::json;

use crate::app::{App, minutes, seconds};

#[tokio::test]
async fn by_access_token() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let bye = app.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_snapshot!(bye, @"
    204 No Content
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865
    ");
}

#[tokio::test]
async fn by_refresh_token() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let body = json!({"refresh_token": tokens.refresh, "scope": "global"});
    assert_snapshot!(app.post("/auth/logout").json(&body).send().await, @"
    204 No Content
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865
    ");
}

#[tokio::test]
async fn without_any_token() {
    let app = App::new().await;
    assert_snapshot!(app.post("/auth/logout").send().await, @r#"
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
async fn by_a_malformed_access_token() {
    let app = App::new().await;
    assert_snapshot!(app.post("/auth/logout").bearer("x").send().await, @r#"
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
async fn by_an_expired_access_token() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.step(minutes(16));
    let late = app.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_snapshot!(late, @r#"
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
async fn by_the_access_token_of_an_ended_session() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.post("/auth/logout").bearer(&tokens.access).send().await;
    let again = app.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_snapshot!(again, @r#"
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
async fn by_a_refresh_token_of_nobody() {
    let app = App::new().await;
    let body = json!({"refresh_token": "x"});
    assert_snapshot!(app.post("/auth/logout").json(&body).send().await, @r#"
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
async fn of_everything_by_a_refresh_token_that_was_used() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    app.refresh(&tokens.refresh).await;
    app.step(seconds(31));
    let body = json!({"refresh_token": tokens.refresh, "scope": "global"});
    assert_snapshot!(app.post("/auth/logout").json(&body).send().await, @r#"
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
async fn with_an_unknown_scope() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for scope in [json!("all"), json!(7)] {
        let body = json!({"scope": scope, "refresh_token": tokens.refresh});
        let answer = app.post("/auth/logout").json(&body).send().await;
        assert_eq!(answer.problem(), (422, "validation_failed".to_owned()));
        assert_eq!(answer.json()["errors"][0]["field"], "scope");
    }
    app.assert_live(&tokens).await;
}
