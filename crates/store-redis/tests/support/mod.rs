//! Stores over fresh databases and private corners of the Redis servers that the environment names.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "no single test uses all of it"
)]

use std::ffi::OsString;
use std::time::Duration;

use countersign_store_redis::{Patience, RedisStore, RedisUrl, Settings};
use countersign_store_sql::SqlStore;

#[path = "../../../store-sql/tests/support/mod.rs"]
mod sql;

pub use sql::{Fresh, postgres, random, sqlite};

pub const SINGLE: &str = "COUNTERSIGN_TEST_REDIS";
pub const CLUSTER: &str = "COUNTERSIGN_TEST_REDIS_CLUSTER";

/// `redis-server`, or another that speaks the same, such as Valkey's.
pub fn program() -> OsString {
    std::env::var_os("COUNTERSIGN_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

/// A server that the environment names. Without one the test fails: what was not tested must not look like what was.
pub fn url(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} names no Redis server: run the tests with `scripts/test`")
    })
}

/// Patient where a slow machine must not look like a Redis that is away.
pub fn settings(url: &str) -> Settings {
    let mut nonce = [0; 8];
    nonce.copy_from_slice(&random().as_bytes()[..8]);
    let mut settings = Settings::new(RedisUrl::parse(url).unwrap(), nonce);
    settings.patience = Patience {
        answer: Duration::from_secs(10),
        connect: Duration::from_secs(10),
    };
    settings.write_every = Duration::from_millis(20);
    settings.others_write_within = Duration::from_millis(300);
    settings
}

/// One more instance over the database.
pub async fn instance(fresh: &Fresh, settings: Settings) -> RedisStore {
    let beneath: SqlStore = fresh.connect().await;
    beneath.migrate().await.unwrap();
    RedisStore::open(beneath, settings).await.unwrap()
}

/// Two instances over one fresh database and one Redis.
pub async fn two(fresh: Fresh, variable: &str) -> (RedisStore, RedisStore, Fresh) {
    let url = url(variable);
    let first = instance(&fresh, settings(&url)).await;
    let second = instance(&fresh, settings(&url)).await;
    assert!(first.is_trusted() && second.is_trusted());
    (first, second, fresh)
}
