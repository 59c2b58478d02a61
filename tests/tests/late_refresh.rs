//! A refresh whose client gave up on it and was served by another instance is carried out late, when its token has long
//! had its turn. That is no theft: the honest client stays signed in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_tests::faults::{Proxy, Wire};
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Api, Backend, Server, Setup};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

/// What takes longer than a second counts as late.
const LONG: Duration = Duration::from_millis(1500);
const PASSWORD: &str = "correct horse battery";

/// Two instances, and the wire between the first one and PostgreSQL.
async fn two() -> (Server, Server, Proxy) {
    let second = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .start()
        .await;
    let url = second.database.url();
    let (_, rest) = url.split_once('@').unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let target: SocketAddr = address.parse().unwrap();
    let wire = Proxy::to(target).await;
    let mut first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .prepare_on(
            Arc::new(tempfile::tempdir().unwrap()),
            second.database.clone(),
        );
    first.set(
        "DATABASE_URL",
        &url.replace(address, &wire.address.to_string()),
    );
    first.launch().await;
    (first, second, wire)
}

/// Sends a refresh to `first` and gives up after `patience`; then refreshes twice on `second`; then lets `first` go on.
async fn given_up(
    first: &Server,
    second: &Server,
    patience: Duration,
    stop: impl Fn(),
    go_on: impl Fn(),
) {
    let session = second.api().new_session("ada@example.com", PASSWORD).await;
    // So that the connection is open.
    let api = first.api();
    api.me(&session.access).await.expect(200);
    stop();
    let request = api
        .request(Method::POST, "/auth/refresh")
        .json(&json!({"refresh_token": session.refresh}))
        .timeout(patience);
    Api::try_send(request)
        .await
        .expect_err("no answer while it stands still");
    let next = second.api().refresh(&session.refresh).await.tokens();
    let next = second.api().refresh(&next.refresh).await.tokens();
    go_on();
    sleep(Duration::from_secs(1)).await;
    let next = second.api().refresh(&next.refresh).await.tokens();
    second.api().me(&next.access).await.expect(200);
    // Sent again, and judged anew, it is reuse.
    first
        .api()
        .refresh(&session.refresh)
        .await
        .expect_problem(401, "refresh_token_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_instance_waited_for_the_database() {
    let (first, second, wire) = two().await;
    given_up(
        &first,
        &second,
        LONG,
        || wire.set(Wire::Silent),
        || wire.set(Wire::Sound),
    )
    .await;
}

/// It is over long before a second has passed: what tells is that nobody waits for the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_client_is_impatient() {
    let (first, second, wire) = two().await;
    given_up(
        &first,
        &second,
        Duration::from_millis(300),
        || wire.set(Wire::Silent),
        || wire.set(Wire::Sound),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whose_instance_was_frozen() {
    let (first, second, _wire) = two().await;
    let stop = || first.signal(Signal::STOP);
    given_up(&first, &second, LONG, stop, || first.signal(Signal::CONT)).await;
}
