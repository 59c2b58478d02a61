//! Every fault once, for a moment each: see `docs/faults.md`. For longer, `scripts/campaign`.

use countersign_tests::Random;
use countersign_tests::faults::{Campaign, Profile};

/// What Redis adds to the faults; those of instances and of PostgreSQL come on top of it at random, in `campaign.rs`.
const OF_REDIS: [&str; 2] = ["Redis", "clocks"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    Campaign::each(Profile::Sqlite, Random::from_environment(), &[""]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    Campaign::each(Profile::Postgres, Random::from_environment(), &[""]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis() {
    Campaign::each(
        Profile::PostgresRedis,
        Random::from_environment(),
        &OF_REDIS,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_with_sentinels() {
    Campaign::each(
        Profile::PostgresSentinel,
        Random::from_environment(),
        &["Redis"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster() {
    Campaign::each(
        Profile::PostgresCluster,
        Random::from_environment(),
        &["Redis"],
    )
    .await;
}
