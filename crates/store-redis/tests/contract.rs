//! The contract of `countersign-store`, with Redis before each database.

mod support;

use countersign_store_redis::RedisStore;
use support::{CLUSTER, Fresh, SINGLE};

async fn sqlite() -> (RedisStore, RedisStore, Fresh) {
    support::two(support::sqlite(), SINGLE).await
}

async fn postgres() -> (RedisStore, RedisStore, Fresh) {
    support::two(support::postgres().await, SINGLE).await
}

async fn cluster() -> (RedisStore, RedisStore, Fresh) {
    support::two(support::postgres().await, CLUSTER).await
}

countersign_store::contract_suite!(on_sqlite_and_redis, sqlite);
countersign_store::contract_suite!(on_postgres_and_redis, postgres);
countersign_store::contract_suite!(on_postgres_and_cluster, cluster);
