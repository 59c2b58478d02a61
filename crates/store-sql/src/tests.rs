//! Tests that need the inside of the crate, on both engines.

use crate::support::{self, Fresh};
use crate::{SqlStore, statements};

async fn migrated(fresh: &Fresh) -> SqlStore {
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn every_statement_prepares_on_sqlite() {
    let fresh = support::sqlite();
    prepare_all(&migrated(&fresh).await).await;
}

#[tokio::test]
async fn every_statement_prepares_on_postgres() {
    let fresh = support::postgres().await;
    prepare_all(&migrated(&fresh).await).await;
}

async fn prepare_all(store: &SqlStore) {
    let mut failed = Vec::new();
    for (name, sql) in statements::ALL {
        if let Err(error) = store.db.prepare(sql).await {
            failed.push(format!("{name}: {error:?}"));
        }
    }
    assert_eq!(failed, [""; 0]);
}
