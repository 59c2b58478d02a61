//! What is understood, and what is not.

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::server::{GET, GET_AND_CLOSE, LONG, SHORT, Server, soon};

#[tokio::test]
async fn requests_on_one_connection() {
    let server = Server::start(LONG).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(GET).await;
        assert!(
            client
                .answer("hello")
                .await
                .starts_with("HTTP/1.1 200 OK\r\n")
        );
    }
    client.send([GET, GET, GET_AND_CLOSE].concat()).await;
    assert_eq!(client.rest().await.matches("hello").count(), 3);
}

#[tokio::test]
async fn routes_know_the_other_end() {
    let server = Server::start(LONG).await;
    let mut client = server.connect().await;
    let own = client.0.local_addr().unwrap().to_string();
    client.send(GET_AND_CLOSE.replace("/ ", "/peer ")).await;
    assert!(client.rest().await.ends_with(&own));
}

#[tokio::test]
async fn a_head_over_16_kib() {
    let server = Server::start(LONG).await;
    let head = |length: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nx: {}\r\n\r\n",
            "x".repeat(length)
        )
    };
    let mut client = server.connect().await;
    client.send(head(15 * 1024)).await;
    assert!(client.rest().await.starts_with("HTTP/1.1 200 "));
    let mut client = server.connect().await;
    client.send(head(17 * 1024)).await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn more_than_64_headers() {
    let server = Server::start(LONG).await;
    let mut client = server.connect().await;
    let headers: String = (0..65).map(|number| format!("x{number}: y\r\n")).collect();
    client
        .send(format!("GET / HTTP/1.1\r\n{headers}\r\n"))
        .await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn what_is_no_http() {
    let server = Server::start(SHORT).await;
    // The beginning of a TLS handshake, a wrong version, an early end, and nothing that can be read.
    for bytes in [
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\r\n\r\n\r\n",
        "\0",
    ] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        assert!(!client.rest().await.contains(" 200 "), "{bytes:?}");
    }
    let mut client = server.connect().await;
    client.send(GET_AND_CLOSE).await;
    assert!(client.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn http_2_without_tls() {
    let server = Server::start(LONG).await;
    let stream = TokioIo::new(server.connect().await.0);
    let executor = TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, stream).await;
    let (mut sender, connection) = handshake.unwrap();
    tokio::spawn(connection);
    let mut answers = Vec::new();
    for _ in 0..50 {
        let request = http::Request::get("http://here/").body(Empty::<&[u8]>::new());
        answers.push(sender.send_request(request.unwrap()));
    }
    for answer in answers {
        let answer = soon(answer).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, http::Version::HTTP_2)
        );
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
    }
    let large = http::Request::get("http://here/").header("x", "x".repeat(20_000));
    let large = sender.send_request(large.body(Empty::new()).unwrap());
    assert_eq!(soon(large).await.unwrap().status(), 431);
}
