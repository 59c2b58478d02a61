//! Requests that are too large or are no HTTP: answered with a 4xx or cut off, and quickly.

use std::time::Duration;

use countersign_tests::raw::{exchange, post, status};
use countersign_tests::{Api, Backend, Server};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";

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
