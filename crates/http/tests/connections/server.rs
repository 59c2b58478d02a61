//! The server under test, and a client without manners.

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
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
pub(crate) const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";

/// Limits that a test can wait for.
pub(crate) const SHORT: Limits = Limits {
    connections: 100,
    head: Duration::from_millis(600),
    idle: Duration::from_millis(1000),
    stalled_write: Duration::from_millis(600),
    grace: Duration::from_millis(1000),
};

/// Limits that no test waits for.
pub(crate) const LONG: Limits = Limits {
    connections: 100,
    head: Duration::from_secs(600),
    idle: Duration::from_secs(600),
    stalled_write: Duration::from_secs(600),
    grace: Duration::from_secs(600),
};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Somebody asks for `/held`.
    pub(crate) asked: Arc<Notify>,
    /// Lets `/held` answer.
    pub(crate) release: Arc<Notify>,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(limits: Limits) -> Self {
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

    pub(crate) async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Everything that comes until the server closes, however it does.
    pub(crate) async fn rest(&mut self) -> String {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = soon(self.0.read(&mut buffer)).await {
            received.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8(received).unwrap()
    }

    /// One answer that ends with this text.
    pub(crate) async fn answer(&mut self, end: &str) -> String {
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
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future)
        .await
        .expect("it happens")
}
