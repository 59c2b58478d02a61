//! Serving connections: HTTP/1.1 and HTTP/2 without TLS (h2c), with limits against slow and greedy
//! clients, until told to stop.

mod activity;
mod timed_stream;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::Service;

use activity::Activity;
pub(crate) use activity::Endless;
use timed_stream::{TimedStream, Version};

/// The other end of the connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub struct PeerAddress(pub SocketAddr);

/// What one client may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// A request's head must have arrived so long after its first byte.
    pub head: Duration,
    /// A connection without a request is closed after this.
    pub idle: Duration,
    /// A client that takes nothing of its answer for so long is gone.
    pub stalled_write: Duration,
    /// On shutdown, requests that have begun may go on for so long.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled_write: Duration::from_secs(30),
            grace: Duration::from_secs(10),
        }
    }
}

/// The most bytes that a request's head may have; more is answered with 431.
const MAX_HEAD: usize = 16 * 1024;

/// How long connections that were accepted last may take to begin a request before idle ones are closed: their clients
/// know of no shutdown yet.
const LAST_COMERS: Duration = Duration::from_millis(100);

/// How many connections are accepted last, at most.
const MOST_LAST_COMERS: usize = 1024;

/// How long a client may take to take the end of an answer that has none by itself.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves until `shutdown` resolves, then stops accepting, lets requests that have begun finish
/// within `limits.grace`, and returns.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let protocols = Arc::new(Protocols::new());
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let take = |(stream, peer, place): Accepted| {
        let connection = Connection {
            stream,
            peer,
            limits,
            router: router.clone(),
            stopped: stopped.clone(),
        };
        let (protocols, watcher) = (Arc::clone(&protocols), graceful.watcher());
        tokio::spawn(async move {
            connection.serve(&protocols, watcher).await;
            drop(place);
        });
    };
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places, &limits) => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok(accepted) => take(accepted),
            // Out of file descriptors, most likely: others must close first.
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Those that the kernel has let in already would be cut off with the listener, and whatever they have sent.
    for _ in 0..MOST_LAST_COMERS {
        let waiting = accept(&listener, &places, &limits);
        match tokio::time::timeout(Duration::from_millis(1), waiting).await {
            Ok(Ok(accepted)) => take(accepted),
            _ => break,
        }
    }
    drop(listener);
    // Received by every connection, unless there is none.
    let _ = stop.send(true);
    tokio::time::sleep(LAST_COMERS).await;
    if tokio::time::timeout(limits.grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not finish in time");
    }
}

/// A connection and its place.
type Accepted = (TcpStream, SocketAddr, OwnedSemaphorePermit);

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    limits: &Limits,
) -> io::Result<Accepted> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    give_up_after(&stream, limits.stalled_write);
    Ok((stream, peer, place))
}

/// Has the kernel end a connection whose other end has not acknowledged for so long what was sent, or has no room for it: little fits into
/// its buffers, and until they are full nobody here would notice.
#[cfg(target_os = "linux")]
fn give_up_after(stream: &TcpStream, time: Duration) {
    let milliseconds = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
    // Where it cannot, clients are found out once the buffers are full.
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds);
}

/// Elsewhere clients are found out once the buffers are full.
#[cfg(not(target_os = "linux"))]
fn give_up_after(_: &TcpStream, _: Duration) {}

struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Protocols {
    fn new() -> Self {
        let (mut http1, mut http2) = (
            http1::Builder::new(),
            http2::Builder::new(TokioExecutor::new()),
        );
        http1
            .timer(TokioTimer::new())
            // `TimedStream` tells a slow head from an idle connection; hyper's own limit does not.
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .max_headers(64);
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .max_header_list_size(MAX_HEAD as u32)
            .max_pending_accept_reset_streams(20)
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(20));
        Self { http1, http2 }
    }
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    limits: Limits,
    router: Router,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, protocols: &Protocols, watcher: Watcher) {
        let activity = Arc::new(Activity::default());
        let mut stream = TimedStream::new(self.stream, self.limits, Arc::clone(&activity));
        let (router, peer, mut stopped) = (self.router, self.peer, self.stopped);
        let version = tokio::select! {
            version = stream.version() => version,
            () = last_comers_have_come(&mut stopped) => return,
        };
        let Ok(version) = version else { return };
        let endless = Arc::clone(&activity);
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            let busy = activity.begin();
            request.extensions_mut().insert(PeerAddress(peer));
            let answer = router.clone().call(request);
            async move {
                let answer = answer.await;
                answer.map(|answer| busy.until_sent(answer))
            }
        });
        let io = TokioIo::new(stream);
        let limit = self.limits.stalled_write;
        let ended = stalled(&mut stopped, &endless);
        // On the heap, and each for itself: there may be ten thousand that only wait, and what HTTP/2 needs is large.
        let result = match version {
            Version::Http1 => {
                let served = protocols.http1.serve_connection(io, service);
                Box::pin(until(watcher, served, ended)).await
            }
            Version::Http2 => {
                let served = protocols.http2.serve_connection(io, service);
                let ended = async {
                    tokio::select! {
                        () = ended => {}
                        () = untaken(&endless, limit) => {}
                    }
                };
                Box::pin(until(watcher, served, ended)).await
            }
        };
        // Clients that go away or send nonsense are no news to anybody.
        if let Err(error) = result {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }
}

/// Serves a connection until it ends, or until `ended`.
async fn until<C: GracefulConnection>(
    watcher: Watcher,
    connection: C,
    ended: impl Future<Output = ()>,
) -> Result<(), C::Error> {
    tokio::select! {
        served = watcher.watch(connection) => served,
        () = ended => Ok(()),
    }
}

/// On shutdown, whoever has not sent a byte by then is not waited for.
async fn last_comers_have_come(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
    tokio::time::sleep(LAST_COMERS).await;
}

/// Resolves once a client has not taken any of an answer without an end for so long. In HTTP/2 it may do so and be alive: it gives room to
/// each answer by itself.
async fn untaken(activity: &Activity, limit: Duration) {
    let mut before = false;
    loop {
        tokio::time::sleep(limit / 6).await;
        let untaken = activity.untaken() > limit;
        // Twice: this process itself may have been stopped.
        if untaken && before {
            return;
        }
        before = untaken;
    }
}

/// On shutdown, whoever follows an answer without an end gets no more of it. Resolves for a client that does not even take the end.
async fn stalled(stopped: &mut watch::Receiver<bool>, activity: &Activity) {
    // An error means that the server is gone.
    let _ = stopped.wait_for(|stopped| *stopped).await;
    tokio::time::sleep(LAST_WORDS).await;
    if !activity.is_endless() {
        std::future::pending::<()>().await;
    }
}
