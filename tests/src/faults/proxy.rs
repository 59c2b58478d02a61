//! A stretch of wire between an instance and what it depends on, which a test may damage.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What the wire does to what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Nothing.
    Sound,
    /// Every connection is closed, also each new one.
    Cut,
    /// Connections stay open and are accepted, and not a byte arrives while this lasts.
    Silent,
    /// Each packet arrives so much later.
    Slow(Duration),
    /// Each connection is closed after about so many bytes, wherever in a message that is.
    Torn(u32),
}

/// A listener that carries connections to one address.
#[derive(Debug)]
pub struct Proxy {
    /// Where to connect to instead.
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A sound wire to `target`.
    pub async fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("address");
        let (wire, seen) = watch::channel(Wire::Sound);
        let accepting = tokio::spawn(accept(listener, target, seen));
        Proxy {
            address,
            wire,
            accepting,
        }
    }

    /// Changes the wire, for the connections that are open too.
    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set(Wire::Cut);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, wire: watch::Receiver<Wire>) {
    let mut number = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, for example: the next may be luckier.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        number += 1;
        if *wire.borrow() != Wire::Cut {
            tokio::spawn(connection(stream, target, wire.clone(), number));
        }
    }
}

/// Carries one connection until either side ends it, or the wire does.
async fn connection(
    near: TcpStream,
    target: SocketAddr,
    mut wire: watch::Receiver<Wire>,
    number: u32,
) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let ((near_reads, near_writes), (far_reads, far_writes)) =
        (near.into_split(), far.into_split());
    let carried = Arc::new(AtomicI64::new(0));
    let there = carry(
        near_reads,
        far_writes,
        wire.clone(),
        carried.clone(),
        number,
    );
    let back = carry(far_reads, near_writes, wire.clone(), carried, number);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = wire.wait_for(|wire| *wire == Wire::Cut) => {}
    }
}

/// Carries one direction. The bytes count from when the wire was torn, for both directions together.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wire: watch::Receiver<Wire>,
    carried: Arc<AtomicI64>,
    number: u32,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let mut packet = &buffer[..length];
        if wire.wait_for(|wire| *wire != Wire::Silent).await.is_err() {
            return;
        }
        let state = *wire.borrow();
        match state {
            Wire::Sound | Wire::Cut | Wire::Silent => {}
            Wire::Slow(delay) => sleep(delay).await,
            Wire::Torn(after) => {
                let before = carried.fetch_add(length as i64, Ordering::Relaxed);
                // Not the same place on each connection.
                let left = i64::from(after + number * 37 % after) - before;
                if left < length as i64 {
                    packet = &buffer[..usize::try_from(left).unwrap_or_default()];
                    let _ = to.write_all(packet).await;
                    return;
                }
            }
        }
        if to.write_all(packet).await.is_err() {
            return;
        }
    }
}
