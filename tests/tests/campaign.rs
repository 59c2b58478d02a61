//! Two minutes of random faults: see `docs/faults.md`. For longer, `scripts/campaign`.

use std::time::Duration;

use countersign_tests::Random;
use countersign_tests::faults::{Campaign, Profile};

/// `COUNTERSIGN_TEST_SEED`, which is printed, makes the same choice of faults again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_and_redis() {
    let lasts = Duration::from_secs(120);
    Campaign::random(
        Profile::PostgresRedis,
        Random::from_environment(),
        lasts,
        &[],
    )
    .await;
}
