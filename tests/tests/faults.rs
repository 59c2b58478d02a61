//! Every fault once, for a moment each: see `docs/faults.md`. For longer, `scripts/campaign`.

use countersign_tests::Random;
use countersign_tests::faults::{Campaign, Profile};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    Campaign::each(Profile::Sqlite, Random::from_environment(), "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    Campaign::each(Profile::Postgres, Random::from_environment(), "").await;
}
