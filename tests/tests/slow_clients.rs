//! Clients that hold connections open and send next to nothing.

use std::time::Duration;

use countersign_tests::{Api, Backend, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// The server cuts a head and a body off after 10 s each; the rest is for a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// Sends `start`, then one byte of `drip` each half second for as long as the connection holds. Returns what the server
/// said and how long it held.
async fn dribble(address: String, start: String, drip: &'static [u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(&address).await.expect("connect");
    stream
        .write_all(start.as_bytes())
        .await
        .expect("send the start");
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    for byte in drip.iter().cycle() {
        assert!(began.elapsed() < LONGEST, "{start:?} is still listened to");
        match timeout(Duration::from_millis(500), stream.read(&mut buffer)).await {
            Ok(Ok(0)) | Ok(Err(_)) => break,
            Ok(Ok(length)) => answer.extend_from_slice(&buffer[..length]),
            Err(_) if stream.write_all(&[*byte]).await.is_err() => break,
            Err(_) => {}
        }
    }
    (
        String::from_utf8_lossy(&answer).into_owned(),
        began.elapsed(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dribbling_clients_are_cut_off_and_disturb_nobody() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let session = api
        .new_session("ada@example.com", "correct horse battery")
        .await;

    let address = || server.address().to_owned();
    let body = "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
    let chunked = "POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(tokio::spawn(dribble(
            address(),
            "GET /healthz HTTP/1.1\r\nX-Slow: ".into(),
            b"x",
        )));
        slow.push(tokio::spawn(dribble(address(), String::new(), b"\r\n")));
        slow.push(tokio::spawn(dribble(address(), body.into(), b" ")));
        slow.push(tokio::spawn(dribble(
            address(),
            chunked.into(),
            b"1\r\n \r\n",
        )));
    }
    let others = tokio::spawn(serve_others(api.clone(), session.access.clone()));
    for client in slow {
        let (answer, held) = client.await.expect("cut off in time");
        println!(
            "held {held:?}: {}",
            answer.lines().next().unwrap_or("closed")
        );
        assert!(
            answer.is_empty()
                || answer.starts_with("HTTP/1.1 408 ")
                || answer.starts_with("HTTP/1.1 400 "),
            "{answer}"
        );
    }
    let worst = others.await.expect("the others were served");
    println!("the slowest answer to the others took {worst:?}");
}

/// Calls a protected route for six seconds while the slow ones are at work; returns the longest time it took.
async fn serve_others(api: Api, access: String) -> Duration {
    let began = Instant::now();
    let mut worst = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(6) {
        let asked = Instant::now();
        api.me(&access).await.expect(200);
        worst = worst.max(asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    assert!(worst < Duration::from_secs(2), "{worst:?}");
    worst
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_idle_connections_disturb_nobody() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    let session = api
        .new_session("ada@example.com", "correct horse battery")
        .await;
    let mut idle = Vec::new();
    for _ in 0..900 {
        idle.push(TcpStream::connect(server.address()).await.expect("connect"));
    }
    let fresh = Api::new(server.base());
    fresh.me(&session.access).await.expect(200);
    fresh.refresh(&session.refresh).await.expect(200);
    drop(idle);
}
