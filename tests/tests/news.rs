//! Instances on PostgreSQL alone hear of sign-outs elsewhere at once, by `LISTEN` and `NOTIFY`.

use std::time::Duration;

use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Api, Backend, Server, Setup};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";
/// Whoever only looks twice a second needs 250 ms for every second of many sign-outs.
const MEDIAN: Duration = Duration::from_millis(100);

async fn two() -> (Server, Server) {
    let first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .start()
        .await;
    let second = first.sibling().await;
    let began = Instant::now();
    let operator = second.operator();
    while !operator
        .get("/metrics")
        .await
        .text
        .contains("countersign_announcements_heard 1")
    {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "it does not listen"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (first, second)
}

/// How long until the token is refused.
async fn refused(api: &Api, token: &str) -> Duration {
    let began = Instant::now();
    while api.me(token).await.status != 401 {
        assert!(began.elapsed() < Duration::from_secs(10), "still accepted");
    }
    began.elapsed()
}

fn median(mut latencies: Vec<Duration>) -> Duration {
    latencies.sort_unstable();
    latencies[latencies.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_is_in_force_on_the_other_at_once() {
    let (first, second) = two().await;
    let (a, b) = (first.api(), second.api());
    a.register("ada@example.com", PASSWORD).await.expect(201);
    let mut latencies = Vec::new();
    for _ in 0..20 {
        let session = a.login("ada@example.com", PASSWORD).await.tokens();
        b.me(&session.access).await.expect(200);
        a.logout(&session.refresh).await.expect(204);
        latencies.push(refused(&b, &session.access).await);
    }
    let median = median(latencies.clone());
    assert!(median < MEDIAN, "{median:?} of {latencies:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_operator_ends_is_refused_at_once() {
    let (first, second) = two().await;
    let (a, b) = (first.api(), second.api());
    a.register("ada@example.com", PASSWORD).await.expect(201);
    let mut latencies = Vec::new();
    for _ in 0..7 {
        let session = a.login("ada@example.com", PASSWORD).await.tokens();
        b.me(&session.access).await.expect(200);
        let listed = first
            .cli(&["session", "list", "ada@example.com", "--json"])
            .expect(0)
            .json();
        let id = listed["items"][0]["id"].as_str().expect("an id").to_owned();
        first.cli(&["session", "revoke", &id]).expect(0);
        latencies.push(refused(&b, &session.access).await);
    }
    let median = median(latencies.clone());
    assert!(median < MEDIAN, "{median:?} of {latencies:?}");
}
