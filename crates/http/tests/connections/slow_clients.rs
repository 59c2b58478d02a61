//! What slow and greedy clients may take.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use countersign_http::Limits;

use crate::server::{GET, GET_AND_CLOSE, LONG, SHORT, Server, soon};

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
