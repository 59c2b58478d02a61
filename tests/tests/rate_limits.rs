//! The limits that hold when nobody sets any, on the real binary.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use countersign_tests::{Api, Backend, Setup, on_each_backend};
use serde_json::json;
use tokio::task::JoinSet;

const PASSWORD: &str = "correct horse battery";

on_each_backend!(
    of_fifty_wrong_sign_ins_at_once_five_are_looked_at,
    a_known_device_is_let_in_while_its_account_is_attacked,
    registrations_are_three_an_hour,
);

/// How often each status occurred.
async fn at_once(apis: &[Api]) -> BTreeMap<u16, usize> {
    let mut sent = JoinSet::new();
    for n in 0..50 {
        let api = apis[n % apis.len()].clone();
        sent.spawn(async move { api.login("ada@example.com", "wrong").await });
    }
    let mut statuses = BTreeMap::new();
    for answer in sent.join_all().await {
        *statuses.entry(answer.status).or_default() += 1;
        if answer.status == 429 {
            answer.expect_problem(429, "rate_limited");
            assert_eq!(answer.header("ratelimit-policy"), r#""login";q=5;w=900"#);
            let retry: u64 = answer.header("retry-after").parse().expect("seconds");
            assert!((890..=900).contains(&retry), "{retry}");
        }
    }
    statuses
}

async fn of_fifty_wrong_sign_ins_at_once_five_are_looked_at(backend: Backend) {
    let server = Setup::new(backend).with_limits().start().await;
    server
        .api()
        .register("ada@example.com", PASSWORD)
        .await
        .expect(201);
    let five = BTreeMap::from([(401, 5), (429, 45)]);
    assert_eq!(at_once(&[server.api()]).await, five);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_have_one_limit() {
    let one = Setup::new(Backend::Postgres).with_limits().start().await;
    let other = one.sibling().await;
    one.api()
        .register("ada@example.com", PASSWORD)
        .await
        .expect(201);
    let five = BTreeMap::from([(401, 5), (429, 45)]);
    assert_eq!(at_once(&[one.api(), other.api()]).await, five);
}

/// What is counted in the database is counted in memory when the database cannot: here the table is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_cannot_be_shared_is_a_limit() {
    let server = Setup::new(Backend::Postgres).with_limits().start().await;
    let pool = countersign_tests::database::connect(&server.database.url(), 1).await;
    sqlx::query("DROP TABLE rate_limits")
        .execute(&pool)
        .await
        .expect("drop");
    let five = BTreeMap::from([(401, 5), (429, 45)]);
    assert_eq!(at_once(&[server.api()]).await, five);
}

async fn a_known_device_is_let_in_while_its_account_is_attacked(backend: Backend) {
    let server = Setup::new(backend).with_limits().start().await;
    let api = server.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    let answer = api.login("ada@example.com", PASSWORD).await;
    let device = answer.header("countersign-device").to_owned();
    assert!(device.starts_with("cs_dev_"), "{device}");
    for n in 0..4 {
        let stranger = Api::from_address(server.base(), Ipv4Addr::new(127, 2, 0, n + 1));
        for _ in 0..5 {
            stranger.login("ada@example.com", "wrong").await;
        }
    }
    api.login("ada@example.com", PASSWORD)
        .await
        .expect_problem(429, "rate_limited");
    let login = api.request(reqwest::Method::POST, "/auth/login");
    let login = login.header("countersign-device", device);
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    Api::send(login.json(&body)).await.expect(200);
}

async fn registrations_are_three_an_hour(backend: Backend) {
    let server = Setup::new(backend).with_limits().start().await;
    for n in 0..3 {
        let answer = server
            .api()
            .register(&format!("{n}@example.com"), PASSWORD)
            .await;
        answer.expect(201);
    }
    let answer = server.api().register("3@example.com", PASSWORD).await;
    answer.expect_problem(429, "rate_limited");
    let neighbour = Api::from_address(server.base(), Ipv4Addr::new(127, 0, 0, 2));
    neighbour
        .register("3@example.com", PASSWORD)
        .await
        .expect(201);
}
