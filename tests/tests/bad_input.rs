//! What no well-behaved client sends: every answer is a 4xx that says what is wrong, never a 5xx, and quick.

use std::time::Duration;

use countersign_tests::raw::{exchange, status};
use countersign_tests::{Answer, Api, Backend, Server, Tokens, on_each_backend};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";

fn post(path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giants_are_refused_early() {
    let server = Server::start(Backend::Sqlite).await;
    let address = server.address();
    let long = "x".repeat(1 << 20);
    let many: String = (0..10_000).map(|i| format!("X-{i}: y\r\n")).collect();
    for (what, request, expected) in [
        (
            "header",
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
            &[431, 400][..],
        ),
        (
            "headers",
            format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
            &[431, 400],
        ),
        (
            "URL",
            format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"),
            &[414, 431, 400],
        ),
        (
            "method",
            format!("{long} / HTTP/1.1\r\nHost: a\r\n\r\n"),
            &[400, 414, 431],
        ),
        (
            "token",
            format!(
                "GET /auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n",
                ".".repeat(60_000)
            ),
            &[431, 401, 400],
        ),
    ] {
        let began = Instant::now();
        let got = status(address, request.as_bytes()).await;
        // A server may also just close the connection while the client still sends.
        assert!(
            got.is_none_or(|got| expected.contains(&got)),
            "{what}: {got:?}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{what}: {:?}",
            began.elapsed()
        );
    }
    let body = format!("{{\"email\": \"{}\"}}", "x".repeat(70_000));
    assert_eq!(
        status(
            address,
            &post("/auth/login", "application/json", body.as_bytes())
        )
        .await,
        Some(413)
    );
    let announced = "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(
        status(address, announced.as_bytes()).await,
        Some(413),
        "refused before the body comes"
    );
    let chunk = format!("11170\r\n{}\r\n0\r\n\r\n", "x".repeat(70_000));
    let chunked = format!(
        "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
    );
    assert_eq!(status(address, chunked.as_bytes()).await, Some(413));
    server.api().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_http_is_refused() {
    let server = Server::start(Backend::Sqlite).await;
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let answer = exchange(server.address(), request).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{:?}: {answer}", String::from_utf8_lossy(request));
    }
    // Both ways to say where a body ends, which proxies in front read differently: never two requests out of one.
    let smuggled = b"POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = exchange(server.address(), smuggled).await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    server.api().get("/healthz").await.expect(200);
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_members_cost_nothing() {
    let server = Server::start(Backend::Sqlite).await;
    // As many as fit into the greatest body.
    let members: String = (0..7_000).map(|i| format!("\"{i}\":0,")).collect();
    let body = format!("{{{members}\"email\":\"a@example.com\",\"password\":\"{PASSWORD}\"}}");
    let began = Instant::now();
    assert_eq!(
        status(
            server.address(),
            &post("/auth/register", "application/json", body.as_bytes())
        )
        .await,
        Some(201)
    );
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_authorization_is_401() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let Tokens { access, refresh } = api.new_session("ada@example.com", PASSWORD).await;
    let parts: Vec<&str> = access.split('.').collect();
    let (head, claims, signature) = (parts[0], parts[1], parts[2]);
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let headers: Vec<String> = [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "bearer",
        "Basic",
        "Basic YTpi",
        "Basic !!!",
        "Digest a=b",
        "Bearer\t",
        "Bearer a",
        "Bearer .",
        "Bearer ..",
        "Bearer ...",
        "Bearer ....",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer a.b.c.d.e",
        "Bearer null",
        "Bearer undefined",
        "Bearer =",
        "Bearer \"\"",
        "Bearer {}",
        "Bearer a b",
        "Bearer,",
        "Bearer a,b",
        "Token abc",
        "BearerX",
        "Bearer \u{e4}",
        "Bearer %00",
        "Bearer ../../etc/passwd",
        "Bearer ' OR 1=1 --",
    ]
    .iter()
    .map(ToString::to_string)
    .chain([
        access.clone(),
        format!("Bearer{access}"),
        format!("Basic {access}"),
        format!("Bearer {access}."),
        format!("Bearer .{access}"),
        format!("Bearer {access}="),
        format!("Bearer {access} x"),
        format!("Bearer {head}.{claims}"),
        format!("Bearer {head}.{claims}."),
        format!("Bearer {none}.{claims}."),
        format!("Bearer {none}.{claims}.{signature}"),
        format!("Bearer {claims}.{head}.{signature}"),
        format!(
            "Bearer {head}.{claims}.{}",
            &signature[..signature.len() - 2]
        ),
        format!("Bearer {head}.{claims}.{signature}AA"),
        format!("Bearer {refresh}"),
        format!("Bearer {}", access.to_uppercase()),
        format!("Bearer {}", ".".repeat(4000)),
        format!("Bearer {}", "a".repeat(4000)),
    ])
    .collect();
    assert!(headers.len() >= 40);
    for header in headers {
        let request = format!(
            "GET /auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {header}\r\n\r\n"
        );
        let answer = exchange(server.address(), request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{header}: {answer}");
        let challenge = answer
            .lines()
            .find(|line| line.to_lowercase().starts_with("www-authenticate: bearer"));
        assert!(challenge.is_some(), "{header}: {answer}");
    }
    let twice = format!(
        "GET /auth/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {access}\r\nAuthorization: Bearer {access}\r\n\r\n"
    );
    assert!(
        matches!(
            status(server.address(), twice.as_bytes()).await,
            Some(400 | 401)
        ),
        "two headers"
    );
    api.me(&access).await.expect(200);
    // RFC 9110, section 11.1: the scheme is case-insensitive.
    Api::send(
        api.request(Method::GET, "/auth/me")
            .header("authorization", format!("bEARER {access}")),
    )
    .await
    .expect(200);
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
async fn every_change_of_a_refresh_token_is_refused() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let token = api.new_session("ada@example.com", PASSWORD).await.refresh;
    let mut changed: Vec<String> = (0..token.len())
        .map(|length| token[..length].to_owned())
        .collect();
    changed.extend((1..token.len()).map(|start| token[start..].to_owned()));
    changed.extend((0..token.len()).map(|at| {
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    changed.extend([
        token.to_uppercase(),
        token.to_lowercase(),
        format!("{token}A"),
        format!("{token}="),
        format!(" {token}"),
    ]);
    for token in changed {
        let answer = api.refresh(&token).await;
        assert!(
            matches!(answer.status, 401 | 422),
            "{token}: {}",
            answer.text
        );
    }
    api.refresh(&token).await.expect(200);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_2_without_tls_works() {
    let server = Server::start(Backend::Sqlite).await;
    let api = Api::h2c(server.base());
    let session = api.new_session("ada@example.com", PASSWORD).await;
    assert_eq!(
        api.me(&session.access).await.expect(200)["email"],
        "ada@example.com"
    );
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let (api, access) = (api.clone(), session.access.clone());
            tokio::spawn(async move { api.me(&access).await.status })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 200);
    }
}
