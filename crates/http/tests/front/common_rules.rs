//! What holds whatever the route. More of it is checked on every answer, see `rules`.

use http::{HeaderName, Method};
use insta::assert_snapshot;

use crate::app::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

#[tokio::test]
async fn an_unknown_path() {
    let app = App::new().await;
    assert_snapshot!(app.get("/auth/nothing").send().await, @r#"
    404 Not Found
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "not_found",
      "detail": "No route has this path.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 404,
      "title": "There is nothing here",
      "type": "/problems/not_found"
    }
    "#);
    for path in [
        "/",
        "/auth",
        "/auth/",
        "/auth/me/",
        "//auth/me",
        "/AUTH/ME",
        "/auth/sessions/",
        "/%ff",
        "/metrics",
        "/admin/users",
    ] {
        let answer = app.get(path).send().await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method() {
    let app = App::new().await;
    assert_snapshot!(app.get("/auth/login").send().await, @r#"
    405 Method Not Allowed
    content-type: application/problem+json
    cache-control: no-store
    allow: POST
    x-request-id: 01a3185c-5000-7e55-b2fb-eea293f80bc9

    {
      "code": "method_not_allowed",
      "detail": "`Allow` lists those that are.",
      "request_id": "01a3185c-5000-7e55-b2fb-eea293f80bc9",
      "status": 405,
      "title": "The method is not allowed here",
      "type": "/problems/method_not_allowed"
    }
    "#);
    for (path, allow) in [
        ("/auth/me", "GET,HEAD,PATCH,DELETE"),
        ("/auth/sessions", "GET,HEAD"),
        ("/auth/sessions/x", "DELETE"),
        ("/auth/register", "POST"),
        ("/healthz", "GET,HEAD"),
        ("/openapi.json", "GET,HEAD"),
        ("/docs/docs.js", "GET,HEAD"),
    ] {
        for method in [Method::PUT, Method::TRACE, Method::CONNECT] {
            let answer = app.request(method.clone(), path).send().await;
            assert_eq!(
                answer.problem(),
                (405, "method_not_allowed".to_owned()),
                "{path}"
            );
            assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    for path in [
        "/auth/me",
        "/auth/sessions",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/docs",
    ] {
        let get = app.get(path).bearer(&tokens.access).send().await;
        let head = app.request(Method::HEAD, path).bearer(&tokens.access);
        let head = head.send().await;
        assert_eq!(head.status, get.status, "{path}");
        for name in ["content-type", "cache-control", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{name} of {path}");
        }
        assert!(head.body.is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_callers_own_request_id_is_kept_if_it_may_be() {
    let app = App::new().await;
    let longest = "~".repeat(128);
    for id in ["a", "!", "7f1c-2/x:y", &longest] {
        let answer = app.get("/healthz").header(REQUEST_ID, id).send().await;
        assert_eq!(answer.header("x-request-id"), Some(id));
    }
    let too_long = "x".repeat(129);
    for id in ["", " ", "a b", "a\tb", "é", &too_long] {
        let answer = app.get("/auth/nothing").header(REQUEST_ID, id).send().await;
        let made = answer.header("x-request-id").unwrap();
        assert!(made.len() == 36 && made != id, "{id}: {made}");
    }
}

#[tokio::test]
async fn request_ids_that_are_made_differ() {
    let app = App::new().await;
    let one = app.get("/healthz").send().await;
    let other = app.get("/healthz").send().await;
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}
