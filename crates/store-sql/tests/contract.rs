//! The contract of `countersign-store`, on both engines.

mod support;

use countersign_store_sql::SqlStore;
use support::Fresh;

async fn sqlite() -> (SqlStore, SqlStore, Fresh) {
    two(support::sqlite()).await
}

async fn postgres() -> (SqlStore, SqlStore, Fresh) {
    two(support::postgres().await).await
}

async fn two(fresh: Fresh) -> (SqlStore, SqlStore, Fresh) {
    let first = fresh.connect().await;
    first.migrate().await.unwrap();
    (first, fresh.connect().await, fresh)
}

countersign_store::contract_suite!(on_sqlite, sqlite);
countersign_store::contract_suite!(on_postgres, postgres);
