//! Tests that need the inside of the crate, on both engines.

use std::time::Duration;

use countersign_store::{Store, StoreError};

use crate::driver::{DbError, Verdict};
use crate::migrations::Migration;
use crate::schema::Persistence;
use crate::support::{self, Fresh};
use crate::{SchemaError, SchemaState, SqlStore, schema, statements};

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
    let dialect = store.db.dialect();
    let of_engine = [
        ("append_events", dialect.append_events),
        ("seal_events", dialect.seal_events),
        ("audit_salts", dialect.audit_salts),
        ("table_size", dialect.table_size),
    ];
    for (name, sql) in statements::ALL.iter().chain(&of_engine) {
        if let Err(error) = store.db.prepare(sql).await {
            failed.push(format!("{name}: {error:?}"));
        }
    }
    assert_eq!(failed, [""; 0]);
}

const ONCE: Persistence = Persistence {
    tries: 1,
    pause: Duration::ZERO,
};

const FIRST: Migration = Migration {
    number: 1,
    name: "0001_first",
    sql: "CREATE TABLE one (id BIGINT)",
};
const BROKEN: Migration = Migration {
    number: 2,
    name: "0002_second",
    sql: "CREATE TABLE two (id BIGINT); INSERT INTO two VALUES (7); INSERT INTO nowhere VALUES (1)",
};
const MENDED: Migration = Migration {
    sql: "CREATE TABLE two (id BIGINT); INSERT INTO two VALUES (8)",
    ..BROKEN
};

#[tokio::test]
async fn interrupted_migration_is_undone_and_restarts_on_sqlite() {
    let fresh = support::sqlite();
    interrupted_migration(&fresh.connect().await).await;
}

#[tokio::test]
async fn interrupted_migration_is_undone_and_restarts_on_postgres() {
    let fresh = support::postgres().await;
    interrupted_migration(&fresh.connect().await).await;
}

async fn interrupted_migration(store: &SqlStore) {
    let done = schema::migrate_to(&store.db, &[FIRST], ONCE).await.unwrap();
    assert_eq!(done, [1]);
    let broken = schema::migrate_to(&store.db, &[FIRST, BROKEN], ONCE).await;
    assert!(matches!(broken, Err(SchemaError::Failed { number: 2, .. })));
    let left = store.db.read("SELECT id FROM two", vec![]).await;
    assert!(matches!(left, Err(DbError::Corrupt(_))), "no such table");
    let done = schema::migrate_to(&store.db, &[FIRST, MENDED], ONCE).await;
    assert_eq!(done.unwrap(), [2]);
    let rows = store.db.read("SELECT id FROM two", vec![]).await.unwrap();
    let ids: Vec<i64> = rows
        .iter()
        .map(|row| row.columns().take().unwrap())
        .collect();
    assert_eq!(ids, [8]);
    let changed = schema::migrate_to(&store.db, &[FIRST, BROKEN], ONCE).await;
    assert!(matches!(changed, Err(SchemaError::Changed { number: 2 })));
}

/// A process that is killed leaves its transaction to the engine, as this one to the drop.
#[tokio::test]
async fn dropped_transactions_leave_nothing_on_sqlite() {
    let fresh = support::sqlite();
    dropped_transactions(&migrated(&fresh).await).await;
}

#[tokio::test]
async fn dropped_transactions_leave_nothing_on_postgres() {
    let fresh = support::postgres().await;
    dropped_transactions(&migrated(&fresh).await).await;
}

async fn dropped_transactions(store: &SqlStore) {
    let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
    // More often than there are connections.
    for _ in 0..20 {
        let mut tx = store.db.begin().await.unwrap();
        let values = vec![now.into()];
        tx.run(statements::INSTALLATION_LOCK, values).await.unwrap();
        drop(tx);
        let mut tx = store.db.begin().await.unwrap();
        let values = vec![now.into()];
        tx.run(statements::INSTALLATION_LOCK, values).await.unwrap();
        tx.settle(Verdict::Undo(())).await.unwrap();
    }
    let rows = store.db.read(statements::PING, vec![]).await.unwrap();
    assert_eq!(rows.len(), 0);
}

#[tokio::test]
async fn failed_statement_cannot_be_committed() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let mut tx = store.db.begin().await.unwrap();
    assert!(tx.run("SELECT nothing", vec![]).await.is_err());
    assert!(matches!(tx.commit().await, Err(DbError::Corrupt(_))));
    store.ping().await.unwrap();
}

#[tokio::test]
async fn file_that_takes_no_writes_is_unavailable_for_them() {
    let fresh = support::sqlite();
    let store = migrated(&fresh).await;
    let write = || store.db.write("DELETE FROM users", vec![]);
    let refuse = store.db.write("PRAGMA query_only = 1", vec![]).await;
    refuse.unwrap();
    assert!(matches!(write().await, Err(DbError::Unavailable(_))));
    store.ping().await.unwrap();
    let accept = store.db.write("PRAGMA query_only = 0", vec![]).await;
    accept.unwrap();
    write().await.unwrap();
}

#[tokio::test]
async fn wrong_values_are_corrupt() {
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = migrated(&fresh).await;
        let rows = store
            .db
            .read("SELECT 'text' AS one, NULL AS two", vec![])
            .await
            .unwrap();
        let number = rows[0].columns().take::<i64>();
        assert!(matches!(number, Err(DbError::Corrupt(_))));
        let mut columns = rows[0].columns();
        assert_eq!(columns.take::<String>().unwrap(), "text");
        let null = columns.take::<String>();
        assert!(matches!(null, Err(DbError::Corrupt(_))));
        let beyond = columns.take::<String>();
        assert!(matches!(beyond, Err(DbError::Corrupt(_))));
    }
}

#[tokio::test]
async fn closed_store_is_unavailable() {
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = migrated(&fresh).await;
        assert_eq!(store.schema().await.unwrap(), SchemaState::Current);
        store.close().await;
        let closed = store.ping().await;
        assert!(matches!(closed, Err(StoreError::Unavailable(_))));
    }
}
