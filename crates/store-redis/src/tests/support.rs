//! A connection to the servers that the environment names. Without one the tests fail: what was not tested must
//! not look like what was.

use std::time::Duration;

use uuid::Uuid;

use crate::calls::Calls;
use crate::link::{Dialer, Everywhere, Link, Patience};
use crate::names::Names;
use crate::url::RedisUrl;

pub(super) const SINGLE: &str = "COUNTERSIGN_TEST_REDIS";
pub(super) const CLUSTER: &str = "COUNTERSIGN_TEST_REDIS_CLUSTER";

/// Generous, so that a slow machine fails no test about something else.
pub(super) const PATIENCE: Patience = Patience {
    answer: Duration::from_secs(10),
    connect: Duration::from_secs(10),
};

pub(super) fn url(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no Redis server: run the tests with `scripts/test`")
    })
}

pub(super) async fn link(variable: &str) -> Link {
    let url = RedisUrl::parse(&url(variable)).unwrap();
    let dialer = Dialer::new(url, None, PATIENCE).unwrap();
    dialer.connect().await.unwrap()
}

/// Names that nobody else uses, and servers that know the scripts.
pub(super) async fn calls(link: &Link) -> Calls {
    #[allow(clippy::disallowed_methods, reason = "a name for a test")]
    let calls = Calls::new(Names::new(Uuid::new_v4(), 1));
    for teach in calls.scripts.teach() {
        let taught = link.everywhere(teach, Everywhere::AllSucceed).await;
        taught.unwrap();
    }
    calls
}
