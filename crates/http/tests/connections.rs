//! Connections, over real sockets: what slow and greedy clients may take, and how the server
//! stops. Nothing here asks how long something took, only that it happens at all.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::routing::get;
use countersign_http::{Limits, PeerAddress, serve};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

const GET: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";

/// Limits that a test can wait for.
const SHORT: Limits = Limits {
    connections: 100,
    head: Duration::from_millis(200),
    idle: Duration::from_millis(400),
    stalled_write: Duration::from_millis(200),
    grace: Duration::from_millis(500),
};

/// Limits that no test waits for.
const LONG: Limits = Limits {
    connections: 100,
    head: Duration::from_secs(600),
    idle: Duration::from_secs(600),
    stalled_write: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

struct Server {
    address: SocketAddr,
    /// Somebody asks for `/held`.
    asked: Arc<Notify>,
    /// Lets `/held` answer.
    release: Arc<Notify>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let (asked, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (asked.clone(), release.clone());
        let held = move || async move {
            tell.notify_one();
            wait.notified().await;
            "released"
        };
        let wait = release.clone();
        let streamed = move || async move {
            let end = stream::once(async move {
                wait.notified().await;
                Ok("released")
            });
            let parts = stream::iter([Ok::<_, Infallible>("begun")]).chain(end);
            Body::from_stream(parts)
        };
        let peer =
            |Extension(PeerAddress(peer)): Extension<PeerAddress>| async move { peer.to_string() };
        let router = Router::new()
            .route("/", get(async || "hello"))
            .route("/held", get(held))
            .route("/streamed", get(streamed))
            .route("/peer", get(peer))
            .route("/large", get(async || vec![b'x'; 64 * 1024 * 1024]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(serve(listener, router, limits, async {
            stopped.await.ok();
        }));
        Self {
            address,
            asked,
            release,
            stop,
            running,
        }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything that comes until the server closes, however it does.
    async fn rest(&mut self) -> String {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = soon(self.0.read(&mut buffer)).await {
            received.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(received).unwrap()
    }

    /// One answer that ends with this text.
    async fn answer(&mut self, end: &str) -> String {
        let mut received = String::new();
        let mut buffer = [0; 4096];
        while !received.ends_with(end) {
            let length = soon(self.0.read(&mut buffer)).await.unwrap();
            assert_ne!(length, 0, "closed after: {received}");
            received.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        received
    }
}

/// What would otherwise never end fails instead.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future)
        .await
        .expect("it happens")
}

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
async fn a_head_that_dribbles_is_cut_off() {
    let server = Server::start(SHORT).await;
    let mut client = server.connect().await;
    let dribble = async {
        // Never idle, never done.
        for byte in GET.bytes().cycle().filter(|byte| *byte != b'\n') {
            if client.0.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(dribble).await;
}

#[tokio::test]
async fn the_head_of_a_later_request_is_cut_off_too() {
    let limits = Limits {
        idle: LONG.idle,
        ..SHORT
    };
    let server = Server::start(limits).await;
    let mut client = server.connect().await;
    client.send(GET).await;
    client.answer("hello").await;
    client.send("GET / HTTP/1.1\r\nHost:").await;
    assert!(!client.rest().await.contains("hello"));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let limits = Limits {
        head: LONG.head,
        ..SHORT
    };
    let server = Server::start(limits).await;
    let mut silent = server.connect().await;
    assert_eq!(silent.rest().await, "");
    let mut done = server.connect().await;
    done.send(GET).await;
    done.answer("hello").await;
    assert_eq!(done.rest().await, "");
}

#[tokio::test]
async fn an_idle_h2_connection_is_closed() {
    let server = Server::start(SHORT).await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send([0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    let mut received = Vec::new();
    soon(client.0.read_to_end(&mut received)).await.ok();
}

#[tokio::test]
async fn a_client_that_waits_for_its_answer_is_not_idle() {
    let server = Server::start(SHORT).await;
    let mut client = server.connect().await;
    client.send(GET.replace("/ ", "/held ")).await;
    soon(server.asked.notified()).await;
    tokio::time::sleep(3 * SHORT.idle).await;
    server.release.notify_one();
    client.answer("released").await;
    // Now it is.
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_whose_answer_is_long_in_coming_is_not_idle() {
    let server = Server::start(SHORT).await;
    let mut client = server.connect().await;
    client.send(GET.replace("/ ", "/streamed ")).await;
    client.answer("begun\r\n").await;
    tokio::time::sleep(3 * SHORT.idle).await;
    server.release.notify_one();
    client.answer("released\r\n0\r\n\r\n").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_loses_its_place() {
    let limits = Limits {
        connections: 1,
        ..SHORT
    };
    let server = Server::start(limits).await;
    let mut greedy = server.connect().await;
    greedy.send(GET.replace("/ ", "/large ")).await;
    let mut next = server.connect().await;
    next.send(GET_AND_CLOSE).await;
    assert!(next.rest().await.ends_with("hello"));
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

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let limits = Limits {
        connections: 2,
        ..LONG
    };
    let server = Server::start(limits).await;
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    for client in [&mut first, &mut second] {
        client.send(GET).await;
        client.answer("hello").await;
    }
    let mut third = server.connect().await;
    third.send(GET_AND_CLOSE).await;
    let early = tokio::time::timeout(Duration::from_millis(300), third.0.readable());
    assert!(early.await.is_err());
    drop(first);
    assert!(third.rest().await.ends_with("hello"));
}

#[tokio::test]
async fn stopping_lets_a_request_finish_and_takes_no_new_one() {
    let server = Server::start(LONG).await;
    let mut idle = server.connect().await;
    idle.send(GET).await;
    idle.answer("hello").await;
    let mut client = server.connect().await;
    client.send(GET.replace("/ ", "/held ")).await;
    soon(server.asked.notified()).await;
    server.stop.send(()).unwrap();
    // The idle connection is closed at once, whatever its limit.
    assert_eq!(idle.rest().await, "");
    let refused = async {
        while TcpStream::connect(server.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    soon(refused).await;
    assert!(!server.running.is_finished());
    server.release.notify_one();
    assert!(client.rest().await.ends_with("released"));
    soon(server.running).await.unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let server = Server::start(SHORT).await;
    let mut client = server.connect().await;
    client.send(GET.replace("/ ", "/held ")).await;
    soon(server.asked.notified()).await;
    server.stop.send(()).unwrap();
    soon(server.running).await.unwrap();
}
