//! What a copy is refused for, each in one line, with nothing changed.

use super::copying::job;
use super::data::fill;
use crate::support::{self, Fresh};
use crate::{CopyError, SqlStore};

async fn migrated(fresh: &Fresh) -> SqlStore {
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    store
}

async fn assert_refused(from: &SqlStore, to: &SqlStore, why: &str) {
    let planned = job(from, to).plan().await.unwrap().begins.unwrap_err();
    let run = job(from, to).run(&mut |_| {}).await.unwrap_err();
    assert!(matches!(run, CopyError::Refused(_)), "{run}");
    assert_eq!(planned, run.to_string());
    assert!(
        planned.contains(why) && !planned.contains('\n'),
        "{planned}"
    );
}

#[tokio::test]
async fn what_cannot_be_moved_is_named() {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (one, two) = (migrated(&sqlite).await, migrated(&postgres).await);
    assert_refused(&two, &two, "the source is PostgreSQL").await;
    assert_refused(&two, &one, "the source is PostgreSQL").await;
    assert_refused(&one, &one, "the target is SQLite").await;
}

#[tokio::test]
async fn schemas_must_be_up_to_date() {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (from, to) = (sqlite.connect().await, postgres.connect().await);
    assert_refused(
        &from,
        &to,
        "source is not that of this version: run `countersign migrate`",
    )
    .await;
    from.migrate().await.unwrap();
    assert_refused(
        &from,
        &to,
        "target is not that of this version: run `countersign migrate`",
    )
    .await;
}

#[tokio::test]
async fn a_target_that_is_used_is_refused() {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (from, to) = (migrated(&sqlite).await, migrated(&postgres).await);
    let used = "INSERT INTO installation (id, created_at, updated_at) VALUES (1, now(), now())";
    to.db.write(used, vec![]).await.unwrap();
    assert_refused(
        &from,
        &to,
        "an installation already (`installation` is not empty)",
    )
    .await;
    let left = to.db.read("SELECT id FROM moves", vec![]).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn another_installations_copy_is_refused() {
    let (sqlite, other, postgres) = (
        support::sqlite(),
        support::sqlite(),
        support::postgres().await,
    );
    let (from, other, to) = (
        migrated(&sqlite).await,
        migrated(&other).await,
        migrated(&postgres).await,
    );
    fill(&from, 200).await;
    fill(&other, 100).await;
    job(&from, &to).run(&mut |_| {}).await.unwrap();
    assert_refused(&other, &to, "an installation already").await;
    to.db
        .write("UPDATE moves SET state = 'filling'", vec![])
        .await
        .unwrap();
    assert_refused(
        &other,
        &to,
        "an unfinished copy of another installation, from `sqlite:here`",
    )
    .await;
    let elsewhere = support::postgres().await;
    let elsewhere = migrated(&elsewhere).await;
    assert_refused(&from, &elsewhere, "has moved to `postgres://there` already").await;
}

#[tokio::test]
async fn a_plan_counts_and_changes_nothing() {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (from, to) = (migrated(&sqlite).await, migrated(&postgres).await);
    fill(&from, 500).await;
    let plan = job(&from, &to).plan().await.unwrap();
    assert_eq!(plan.begins, Ok("begins on an empty target"));
    let users = plan.tables.iter().find(|table| table.name == "users");
    assert!(users.unwrap().rows > Some(0));
    let leases = plan.tables.iter().find(|table| table.name == "leases");
    assert!(leases.unwrap().left_because.is_some());
    for store in [&from, &to] {
        let noted = store.db.read("SELECT id FROM moves", vec![]).await.unwrap();
        assert!(noted.is_empty());
    }
    let triggers = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
    assert!(from.db.read(triggers, vec![]).await.unwrap().is_empty());
}
