//! Bodies that no client should send: each has its answer, and none is a 500.

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};
use insta::assert_snapshot;

use crate::answer::Answer;
use crate::app::App;

/// Every route that takes a body.
const ROUTES: [(Method, &str); 7] = [
    (Method::POST, "/auth/register"),
    (Method::POST, "/auth/login"),
    (Method::POST, "/auth/refresh"),
    (Method::POST, "/auth/logout"),
    (Method::PATCH, "/auth/me"),
    (Method::DELETE, "/auth/me"),
    (Method::POST, "/auth/password/change"),
];

const MAX_BODY: usize = 64 * 1024;

/// Sends a body to every route, from a signed-in user. Answers with what they have in common.
pub(crate) async fn everywhere(media_type: Option<&str>, body: &[u8]) -> (u16, String) {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let mut answers = Vec::new();
    for (method, path) in ROUTES {
        let mut request = app.request(method, path).bearer(&tokens.access);
        if let Some(media_type) = media_type {
            request = request.header(CONTENT_TYPE, media_type);
        }
        answers.push(request.body(body.to_vec()).send().await.problem());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0)
}

pub(crate) async fn login(app: &App, media_type: &str, body: impl Into<Body>) -> Answer {
    let request = app.post("/auth/login").header(CONTENT_TYPE, media_type);
    request.body(body).send().await
}

#[tokio::test]
async fn texts_that_are_no_json_object() {
    let deep = "[".repeat(60_000);
    let deep_object = "{\"email\":".repeat(5_000);
    let closed = format!("{{\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let texts: [&[u8]; 24] = [
        b" ",
        b"null",
        b"true",
        b"7",
        b"\"text\"",
        b"[]",
        b"[{}]",
        b"{",
        b"}",
        b"{} {}",
        b"{}x",
        b"{'email': 1}",
        b"{\"email\": \"a\",}",
        b"{\"email\" \"a\"}",
        b"{\"email\": NaN}",
        b"{\"email\": 01}",
        b"\xef\xbb\xbf{}",
        b"{\"name\": \"\xff\"}",
        b"{\"name\": \"\\ud800\"}",
        b"{\"name\": \"a\nb\"}",
        b"{\"\xc3\x28\": 1}",
        deep.as_bytes(),
        deep_object.as_bytes(),
        closed.as_bytes(),
    ];
    for text in texts {
        let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
        let answer = everywhere(Some("application/json"), text).await;
        assert_eq!(answer, (400, "malformed_request".to_owned()), "{shown}");
    }
}

#[tokio::test]
async fn a_member_that_occurs_twice_is_refused_since_readers_differ_on_which_one_counts() {
    for name in [
        "email",
        "password",
        "name",
        "refresh_token",
        "scope",
        "current_password",
    ] {
        for other in [
            name.to_owned(),
            format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]),
        ] {
            let text = format!("{{\"{name}\": \"a\", \"{other}\": \"b\"}}");
            let answer = everywhere(Some("application/json"), text.as_bytes()).await;
            assert_eq!(answer, (400, "malformed_request".to_owned()), "{text}");
        }
    }
}

#[tokio::test]
async fn bad_json_in_words() {
    let app = App::new().await;
    assert_snapshot!(login(&app, "application/json", "{").await, @r#"
    400 Bad Request
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "malformed_request",
      "detail": "The body is not valid JSON: see line 1, column 1.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 400,
      "title": "The request cannot be read",
      "type": "/problems/malformed_request"
    }
    "#);
    let answer = login(&app, "application/json", "[]").await;
    assert_eq!(
        answer.json()["detail"],
        "The body must be a JSON object without repeated members."
    );
}

#[tokio::test]
async fn no_body_at_all() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for (method, path) in ROUTES {
        let request = app.request(method.clone(), path).bearer(&tokens.access);
        let answer = request
            .header(CONTENT_TYPE, "application/json")
            .send()
            .await;
        let expected = match (method, path) {
            (Method::DELETE, _) => 403,
            (_, "/auth/logout") => 204,
            _ => 400,
        };
        // The sign-out is the fourth, so those after it are refused before their body is read.
        let signed_out = matches!(path, "/auth/me" | "/auth/password/change");
        assert_eq!(
            answer.status,
            if signed_out { 401 } else { expected },
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_largest_body() {
    let app = App::new().await;
    let padded = |length: usize| {
        let text = r#"{"email": "a", "password": "b"}"#;
        format!("{text}{}", " ".repeat(length - text.len()))
    };
    let fits = login(&app, "application/json", padded(MAX_BODY)).await;
    assert_eq!(fits.status, 401);
    let over = login(&app, "application/json", padded(MAX_BODY + 1)).await;
    assert_snapshot!(over, @r#"
    413 Payload Too Large
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-753c-b6d7-6cec99e07585

    {
      "code": "body_too_large",
      "detail": "A body has at most 65,536 bytes.",
      "request_id": "01a3185c-5000-753c-b6d7-6cec99e07585",
      "status": 413,
      "title": "The body is too large",
      "type": "/problems/body_too_large"
    }
    "#);
    let large = everywhere(Some("application/json"), &vec![b' '; MAX_BODY + 1]).await;
    assert_eq!(large, (413, "body_too_large".to_owned()));
}

#[tokio::test]
async fn a_body_that_breaks_off() {
    let app = App::new().await;
    let parts = [Ok("{\"email\":"), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let answer = login(&app, "application/json", body).await;
    assert_eq!(answer.problem(), (400, "malformed_request".to_owned()));
}

#[tokio::test]
async fn a_body_that_never_ends() {
    let app = App::new().await;
    // With nothing else to do, the paused clock jumps to the next time limit.
    tokio::time::pause();
    let body = Body::from_stream(futures_util::stream::pending::<Result<&str, std::io::Error>>());
    assert_snapshot!(login(&app, "application/json", body).await, @r#"
    408 Request Timeout
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "request_timeout",
      "detail": "The body must arrive within 10 seconds.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 408,
      "title": "The request took too long to arrive",
      "type": "/problems/request_timeout"
    }
    "#);
}

#[tokio::test]
async fn ten_thousand_unknown_members_are_ignored() {
    let app = App::new().await;
    let members: String = (0..6_000).map(|i| format!("\"x{i}\":0,")).collect();
    let text = format!("{{{members}\"email\": \"a\", \"password\": \"b\"}}");
    assert!(text.len() < MAX_BODY);
    assert_eq!(login(&app, "application/json", text).await.status, 401);
}

#[tokio::test]
async fn what_a_client_sends_is_not_sent_back() {
    let app = App::new().await;
    let marker = HeaderName::from_static("x-marker");
    for body in ["{\"email\": \"marker\"}", "{\"marker\"", "marker"] {
        let request = app.post("/auth/login").header(marker.clone(), "marker");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let answer = request.send().await.to_string();
        assert!(!answer.contains("marker"), "{answer}");
    }
}
