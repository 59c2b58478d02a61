//! How the server stops.

use tokio::net::TcpStream;

use crate::server::{GET, LONG, SHORT, Server, soon};

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
