//! What a body says it is.

use http::header::CONTENT_TYPE;
use insta::assert_snapshot;

use crate::app::App;
use crate::bodies::{everywhere, login};

#[tokio::test]
async fn other_media_types() {
    let text = br#"{"email": "ada@example.org", "password": "x"}"#;
    for media_type in [
        None,
        Some("text/plain"),
        Some(""),
        Some("application/jsonp"),
        Some("application/json/x"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain; a=application/json"),
    ] {
        let answer = everywhere(media_type, text).await;
        assert_eq!(
            answer,
            (415, "unsupported_media_type".to_owned()),
            "{media_type:?}"
        );
    }
    let app = App::new().await;
    assert_snapshot!(login(&app, "text/plain", "{}").await, @r#"
    415 Unsupported Media Type
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "unsupported_media_type",
      "detail": "Send `Content-Type: application/json` or `application/x-www-form-urlencoded`.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 415,
      "title": "The media type is not supported",
      "type": "/problems/unsupported_media_type"
    }
    "#);
}

#[tokio::test]
async fn two_media_types_or_one_that_is_no_text() {
    let app = App::new().await;
    let request = app
        .post("/auth/login")
        .header(CONTENT_TYPE, "application/json");
    let two = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(two.send().await.status, 415);
    let bytes = app.post("/auth/login").header(CONTENT_TYPE, b"\xff");
    assert_eq!(bytes.send().await.status, 415);
}

#[tokio::test]
async fn spellings_of_the_media_type() {
    let app = App::new().await;
    for media_type in [
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json ;x",
    ] {
        let answer = login(&app, media_type, r#"{"email": "a", "password": "b"}"#).await;
        assert_eq!(answer.status, 401, "{media_type}");
    }
    let form = "application/x-www-form-urlencoded; charset=UTF-8";
    let answer = login(&app, form, "username=a&password=b").await;
    assert_eq!(answer.problem(), (400, "invalid_credentials".to_owned()));
}
