//! PostgreSQL goes away and comes back, or refuses to write. Each test has a PostgreSQL of its own.

use std::sync::Arc;
use std::time::Duration;

use countersign_tests::database::connect;
use countersign_tests::postgres::Cluster;
use countersign_tests::{Answer, Api, Backend, Database, Server, Setup};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";

async fn start_on(cluster: &Cluster) -> Server {
    let database = Arc::new(Database::create_on(&cluster.url).await);
    let mut server =
        Setup::new(Backend::Postgres).prepare_on(Arc::new(tempfile::tempdir().unwrap()), database);
    server.launch().await;
    server
}

/// Asserts a 503 that says when to try again, and that it came within a few seconds.
fn assert_unavailable(answer: &Answer, began: Instant) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(
        answer.header("retry-after").parse::<u64>().is_ok(),
        "Retry-After in {:?}",
        answer.headers
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "answered after {:?}",
        began.elapsed()
    );
}

async fn wait_ready(api: &Api, status: u16, longest: Duration) {
    let began = Instant::now();
    while api.get("/readyz").await.status != status {
        assert!(
            began.elapsed() < longest,
            "/readyz is not {status} within {longest:?}"
        );
        sleep(Duration::from_millis(50)).await;
    }
    println!("/readyz was {status} after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_loses_nobody() {
    let cluster = Cluster::start();
    let server = start_on(&cluster).await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;

    cluster.stop();
    for _ in 0..3 {
        let began = Instant::now();
        assert_unavailable(&api.refresh(&session.refresh).await, began);
        let began = Instant::now();
        assert_unavailable(&api.login("ada@example.com", PASSWORD).await, began);
        let began = Instant::now();
        assert_unavailable(&api.login("ada@example.com", "wrong").await, began);
        let began = Instant::now();
        assert_unavailable(&api.register("bob@example.com", PASSWORD).await, began);
        let began = Instant::now();
        assert_unavailable(&api.logout(&session.refresh).await, began);
        assert_eq!(api.get("/healthz").await.status, 200);
    }
    wait_ready(&api, 503, Duration::from_secs(5)).await;

    // Many at once wait no longer than one.
    let began = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (api, token) = (api.clone(), session.refresh.clone());
            tokio::spawn(async move { api.refresh(&token).await })
        })
        .collect();
    for task in tasks {
        assert_unavailable(&task.await.unwrap(), began);
    }

    cluster.start_again();
    wait_ready(&api, 200, Duration::from_secs(10)).await;
    let next = api.refresh(&session.refresh).await.tokens();
    api.me(&next.access).await.expect(200);
    api.register("bob@example.com", PASSWORD).await.expect(201);
    assert_eq!(api.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_database_is_found_again_by_every_connection() {
    let cluster = Cluster::start();
    let server = start_on(&cluster).await;
    let api = server.api();
    let mut session = api.new_session("ada@example.com", PASSWORD).await;
    for _ in 0..3 {
        cluster.stop();
        cluster.start_again();
        let began = Instant::now();
        loop {
            let answer = api.refresh(&session.refresh).await;
            if answer.status == 200 {
                session = answer.tokens();
                break;
            }
            assert_unavailable(&answer, Instant::now());
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "refused for {:?}",
                began.elapsed()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
    wait_ready(&api, 200, Duration::from_secs(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_database_is_read_and_consumes_nothing() {
    let cluster = Cluster::start();
    let server = start_on(&cluster).await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;

    set_read_only(&cluster, &server, true).await;
    // Reads go on, also one that no memory can answer.
    api.me(&session.access).await.expect(200);
    api.with_token(
        reqwest::Method::GET,
        "/auth/sessions",
        &session.access,
        serde_json::Value::Null,
    )
    .await
    .expect(200);
    for _ in 0..3 {
        let began = Instant::now();
        assert_unavailable(&api.refresh(&session.refresh).await, began);
        let began = Instant::now();
        assert_unavailable(&api.register("bob@example.com", PASSWORD).await, began);
        let began = Instant::now();
        assert_unavailable(&api.logout(&session.refresh).await, began);
        // The password can be checked here, and that it was wrong cannot be recorded.
        for email in ["ada@example.com", "nobody@example.com"] {
            let began = Instant::now();
            assert_unavailable(&api.login(email, "wrong").await, began);
        }
    }

    set_read_only(&cluster, &server, false).await;
    let began = Instant::now();
    let next = loop {
        let answer = api.refresh(&session.refresh).await;
        if answer.status == 200 {
            break answer.tokens();
        }
        assert_unavailable(&answer, Instant::now());
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "refused for {:?}",
            began.elapsed()
        );
        sleep(Duration::from_millis(50)).await;
    };
    assert_ne!(next.refresh, session.refresh);
    api.me(&next.access).await.expect(200);
}

/// Makes every transaction of the server's database read-only, on the connections that are open too, or undoes that.
async fn set_read_only(cluster: &Cluster, server: &Server, read_only: bool) {
    let admin = connect(&cluster.url, 1).await;
    let word = if read_only { "on" } else { "off" };
    // The literal is one of two words.
    let statement = sqlx::AssertSqlSafe(format!(
        "ALTER SYSTEM SET default_transaction_read_only = {word}"
    ));
    sqlx::query(statement).execute(&admin).await.unwrap();
    sqlx::query("SELECT pg_reload_conf()")
        .execute(&admin)
        .await
        .unwrap();
    admin.close().await;
    let began = Instant::now();
    while server
        .database
        .texts("SELECT current_setting('default_transaction_read_only')")
        .await
        != [word]
    {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "PostgreSQL does not take the setting over"
        );
        sleep(Duration::from_millis(20)).await;
    }
}
