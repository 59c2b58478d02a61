//! What no well-behaved client sends: every answer is a 4xx that says what is wrong, never a 5xx, and quick.

use std::time::Duration;

use countersign_tests::raw::{post, status};
use countersign_tests::{Answer, Api, Backend, Server, on_each_backend};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";

on_each_backend!(odd_text_is_refused_or_kept_as_it_is);

async fn odd_text_is_refused_or_kept_as_it_is(backend: Backend) {
    let server = Server::start(backend).await;
    let address = server.address();
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_member =
        format!("{{\"email\":\"a@example.com\",\"password\":\"{PASSWORD}\",\"x\":{deep}}}");
    for (body, expected) in [
        (&b"{\"email\":\"\xff@example.com\",\"password\":\"correct horse\"}"[..], &[400][..]),
        (b"{\"email\":\"\xc0\xaf@example.com\",\"password\":\"correct horse\"}", &[400]),
        (b"{\"email\":\"\\ud800@example.com\",\"password\":\"correct horse\"}", &[400]),
        (b"{\"email\":\"a\\u0000@example.com\",\"password\":\"correct horse\"}", &[422]),
        (b"{\"email\":\"a@example.com\",\"password\":\"correct\\u0000horse\"}", &[422, 201]),
        (b"{\"email\":\"b@example.com\",\"password\":\"correct horse\",\"name\":\"a\\u0000b\"}", &[422]),
        (b"\xef\xbb\xbf{\"email\":\"c@example.com\",\"password\":\"correct horse\"}", &[400]),
        (b"{\"email\":\"d@example.com\",\"password\":\"correct horse\"} x", &[400]),
        (b"", &[400]),
        (b"null", &[400, 422]),
        (b"[]", &[400, 422]),
        (b"{\"email\":1,\"password\":\"correct horse\"}", &[422]),
        (b"{\"email\":\"e@example.com\"}", &[422]),
        (b"{\"email\":\"f@example.com\",\"email\":\"g@example.com\",\"password\":\"correct horse\"}", &[400, 422]),
        (deep.as_bytes(), &[400, 422]),
        (deep_member.as_bytes(), &[400, 422, 201]),
    ] {
        let began = Instant::now();
        let got = status(address, &post("/auth/register", "application/json", body)).await.expect("an answer");
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert!(expected.contains(&got), "{shown}: {got}");
        assert!(began.elapsed() < Duration::from_secs(2), "{shown}: {:?}", began.elapsed());
    }
}

async fn post_text(api: &Api, path: &str, media_type: &str, body: &str) -> Answer {
    Api::send(
        api.request(Method::POST, path)
            .header("content-type", media_type)
            .body(body.to_owned()),
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_types_and_forms() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    let json = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
    for media_type in [
        "text/plain",
        "text/json",
        "multipart/form-data",
        "application/xml",
        "application/jsonp",
        "json",
    ] {
        post_text(&api, "/auth/login", media_type, &json)
            .await
            .expect_problem(415, "unsupported_media_type");
    }
    for media_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
    ] {
        post_text(&api, "/auth/login", media_type, &json)
            .await
            .expect(200);
    }
    let form = "application/x-www-form-urlencoded";
    let right =
        "grant_type=password&username=ada%40example.com&password=correct+horse+battery&scope=";
    let tokens = post_text(&api, "/auth/login", form, right).await.tokens();
    for twice in [
        "&password=other",
        "&username=ada%40example.com",
        "&grant_type=password",
    ] {
        let answer = post_text(&api, "/auth/login", form, &format!("{right}{twice}")).await;
        assert_eq!(answer.expect(400)["error"], "invalid_request", "{twice}");
    }
    let wrong = post_text(
        &api,
        "/auth/login",
        form,
        "username=ada%40example.com&password=wrong",
    )
    .await;
    assert_eq!(wrong.expect(400)["error"], "invalid_grant");
    assert_eq!(wrong.header("content-type"), "application/json");
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens.refresh);
    let answer = post_text(
        &api,
        "/auth/refresh",
        form,
        &format!("{refresh}&refresh_token=x"),
    )
    .await;
    assert_eq!(answer.expect(400)["error"], "invalid_request");
    post_text(&api, "/auth/refresh", form, &refresh)
        .await
        .expect(200);
    for body in [
        "username=%ff%fe&password=x",
        "username=%&password=%zz",
        "&&&=&=",
        "username",
    ] {
        let status = post_text(&api, "/auth/login", form, body).await.status;
        assert!((400..500).contains(&status), "{body}: {status}");
    }
    // Only sign-in and refresh take forms.
    let status = post_text(
        &api,
        "/auth/register",
        form,
        "email=b%40example.com&password=correct+horse",
    )
    .await
    .status;
    assert_eq!(status, 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_methods() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    for path in [
        "/",
        "/auth",
        "/auth/me/",
        "/auth//me",
        "/AUTH/ME",
        "/auth/login/../me",
        "/auth/%6de%00",
        "/metrics",
        "/.env",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert_eq!(
            status(server.address(), request.as_bytes()).await,
            Some(404),
            "{path}"
        );
    }
    let answer = api.get("/auth/login").await;
    answer.expect_problem(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
    for id in [
        "x",
        "00000000-0000-0000-0000-000000000000",
        "%00",
        "..%2f..",
        "1",
    ] {
        let token = api.login("eve@example.com", PASSWORD).await;
        let token = if token.status == 200 {
            token.tokens().access
        } else {
            api.new_session("eve@example.com", PASSWORD).await.access
        };
        let answer = api
            .with_token(
                Method::DELETE,
                &format!("/auth/sessions/{id}"),
                &token,
                Value::Null,
            )
            .await;
        assert!(matches!(answer.status, 404 | 422), "{id}: {}", answer.text);
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "limit=1e3",
        "limit=1&limit=2",
        "cursor=x",
        "cursor=",
        "limit=99999999999999999999",
    ] {
        let token = api.login("eve@example.com", PASSWORD).await.tokens().access;
        let answer = api
            .with_token(
                Method::GET,
                &format!("/auth/sessions?{query}"),
                &token,
                Value::Null,
            )
            .await;
        assert!(
            matches!(answer.status, 400 | 422),
            "{query}: {} {}",
            answer.status,
            answer.text
        );
    }
}
