//! Every fault once, for a moment each: see `docs/faults.md`. For longer, `scripts/campaign`.

use countersign_tests::Random;
use countersign_tests::faults::{Campaign, Fault, Profile};

async fn each_fault(profile: Profile) {
    let mut random = Random::from_environment();
    let mut campaign = Campaign::start(profile, &mut random).await;
    for fault in Fault::all(profile) {
        campaign.round(&[fault], fault.lasts()).await;
    }
    campaign.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    each_fault(Profile::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres() {
    each_fault(Profile::Postgres).await;
}
