//! Which web pages may call this server.

use countersign_http::CorsOrigins;
use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use insta::assert_snapshot;

use crate::answer::Answer;
use crate::app::{App, Choices};

async fn preflight(app: &App, origin: &str) -> Answer {
    app.request(Method::OPTIONS, "/auth/me")
        .header(ORIGIN, origin)
        .header(ACCESS_CONTROL_REQUEST_METHOD, "PATCH")
        .header(ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type")
        .send()
        .await
}

async fn origin_allowed(app: &App, origin: &str) -> Option<String> {
    let answer = app.get("/auth/me").header(ORIGIN, origin).send().await;
    assert_eq!(answer.status, 401);
    let allowed = answer.header("access-control-allow-origin");
    allowed.map(str::to_owned)
}

#[tokio::test]
async fn a_page_of_this_machine() {
    let app = App::new().await;
    assert_snapshot!(preflight(&app, "http://localhost:3000").await, @"
    200 OK
    cache-control: no-store
    allow: GET,HEAD,PATCH,DELETE
    access-control-allow-origin: http://localhost:3000
    access-control-allow-methods: GET,POST,PATCH,DELETE
    access-control-allow-headers: accept,authorization,content-type,x-request-id,countersign-device,x-requested-with
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9
    ");
}

#[tokio::test]
async fn a_foreign_page() {
    let app = App::new().await;
    let answer = preflight(&app, "https://evil.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), None);
    assert_eq!(origin_allowed(&app, "https://evil.example").await, None);
    assert_eq!(origin_allowed(&app, "null").await, None);
}

#[tokio::test]
async fn a_page_may_read_refusals_too() {
    let app = App::new().await;
    let origin = "http://127.0.0.1:5173";
    assert_eq!(origin_allowed(&app, origin).await.as_deref(), Some(origin));
    let request = app.get("/auth/nothing").header(ORIGIN, origin);
    let answer = request.send().await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    let shown = answer.header("access-control-expose-headers");
    assert_eq!(
        shown,
        Some("x-request-id,retry-after,location,ratelimit,ratelimit-policy,countersign-device")
    );
    let vary = answer.header("vary").unwrap();
    assert!(vary.contains("origin"), "{vary}");
}

#[tokio::test]
async fn listed_pages_only() {
    let app = App::with(Choices {
        cors: CorsOrigins::List(vec!["https://app.example.org".to_owned()]),
        ..Choices::default()
    });
    let app = app.await;
    for (origin, allowed) in [
        ("https://app.example.org", true),
        ("https://app.example.org.evil.example", false),
        ("http://app.example.org", false),
        ("http://localhost:3000", false),
    ] {
        let answer = origin_allowed(&app, origin).await;
        assert_eq!(answer.is_some(), allowed, "{origin}");
    }
}

#[tokio::test]
async fn nobody_may_send_cookies_along() {
    let app = App::new().await;
    let answer = preflight(&app, "http://localhost:3000").await;
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}
