//! SIGTERM and SIGINT: no new connections, what is in flight is finished, exit code 0 within ten seconds.

use std::time::Duration;

use countersign_tests::{Api, Backend, Server, Setup, on_each_backend, within_a_second};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";
const LONGEST: Duration = Duration::from_secs(10);

on_each_backend!(
    sign_ins_in_flight_are_answered,
    nothing_acknowledged_is_lost_under_load
);

async fn sign_ins_in_flight_are_answered(backend: Backend) {
    for signal in [Signal::TERM, Signal::INT] {
        // A hash of this cost takes a fifth of a second or more.
        let setup = Setup::new(backend).set("BCRYPT_ROUNDS", "12");
        // However slow the machine is just now, four may wait.
        let mut server = setup.set("HASH_QUEUE_SECONDS", "60").start().await;
        let api = server.api();
        api.register("ada@example.com", PASSWORD).await.expect(201);
        let logins: Vec<_> = (0..4)
            .map(|_| {
                let api = api.clone();
                tokio::spawn(async move { api.login("ada@example.com", PASSWORD).await })
            })
            .collect();
        // Until all four have arrived; the first is hashed for longer.
        sleep(Duration::from_millis(100)).await;
        let address = server.address().to_owned();
        server.signal(signal);
        let began = Instant::now();
        while TcpStream::connect(&address).await.is_ok() {
            assert!(
                began.elapsed() < Duration::from_secs(2),
                "still accepts after {:?}",
                began.elapsed()
            );
            sleep(Duration::from_millis(5)).await;
        }
        for login in logins {
            login.await.expect("an answer").expect(200);
        }
        assert_eq!(server.wait(LONGEST).await.code(), Some(0));
    }
}

async fn nothing_acknowledged_is_lost_under_load(backend: Backend) {
    let mut server = Server::start(backend).await;
    let api = server.api();
    let mut clients = Vec::new();
    for i in 0..8 {
        let (api, email) = (api.clone(), format!("user{i}@example.com"));
        // Before anybody works: on a slow machine the eighth would come after the end.
        let token = api.new_session(&email, PASSWORD).await.refresh;
        clients.push(tokio::spawn(async move {
            work_until_gone(&api, &email, token).await
        }));
    }
    sleep(Duration::from_millis(500)).await;
    server.signal(Signal::TERM);
    assert_eq!(server.wait(LONGEST).await.code(), Some(0));
    let mut refreshed = Vec::new();
    for client in clients {
        refreshed.push(client.await.expect("only whole answers, or none"));
    }
    server.launch().await;
    let api = server.api();
    for (email, refresh_token) in refreshed {
        let tokens = api.refresh(&refresh_token).await.tokens();
        assert_eq!(api.me(&tokens.access).await.expect(200)["email"], email);
    }
}

/// Refreshes until the server takes no more; returns the last refresh token that was handed out.
async fn work_until_gone(api: &Api, email: &str, mut token: String) -> (String, String) {
    loop {
        let body = serde_json::json!({"refresh_token": token});
        let request = api
            .request(reqwest::Method::POST, "/auth/refresh")
            .json(&body);
        match Api::try_send(request).await {
            Ok(answer) if answer.status == 200 => token = answer.tokens().refresh,
            // An answer during the shutdown may send the client elsewhere, but may not be a fault.
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{}", answer.text);
                return (email.to_owned(), token);
            }
            Err(_) => return (email.to_owned(), token),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_do_not_delay_it() {
    let mut server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    api.get("/healthz").await.expect(200);
    let silent = TcpStream::connect(server.address()).await.unwrap();
    let began = Instant::now();
    server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "took {:?}",
        began.elapsed()
    );
    drop(silent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_answers_everything_but_that_it_is_ready() {
    let setup = Setup::new(Backend::Sqlite).set("COUNTERSIGN_DRAIN_SECONDS", "60");
    let mut server = setup.start().await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;
    assert_eq!(api.get("/healthz").await.header("connection"), "");
    server.signal(Signal::TERM);
    within_a_second("not ready", async || {
        let answer = api.get("/readyz").await;
        answer.status == 503 && !answer.header("retry-after").is_empty()
    })
    .await;
    let session = api.refresh(&session.refresh).await.tokens();
    let answer = api.me(&session.access).await;
    answer.expect(200);
    assert_eq!(answer.header("connection"), "close");
    api.login("ada@example.com", PASSWORD).await.expect(200);
    // Whoever asks twice means it.
    server.signal(Signal::TERM);
    assert_eq!(server.wait(LONGEST).await.code(), Some(0));
}
