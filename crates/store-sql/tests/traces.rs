//! What a deleted user leaves behind, and what a refresh costs.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign_domain::rotation::EndReason;
use countersign_store::contract::kit::{self, act, at, until};
use countersign_store::{Actor, Scope, Sessions, Users};
use countersign_store_sql::{Database, SqlStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use support::Fresh;
use tracing::span;

async fn migrated(fresh: &Fresh) -> SqlStore {
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    store
}

#[tokio::test]
async fn deleted_user_leaves_ids_in_announcements_and_events_only() {
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = migrated(&fresh).await;
        let new = kit::new_user(at(0));
        let user = kit::create(&store, &new, at(0)).await;
        let session = kit::open(&store, user.id, at(0)).await;
        kit::refreshed(&store, session.id, 0, at(1)).await;
        let (scope, reason, now) = (Scope::All, EndReason::LogoutAll, at(2));
        let doing = act(Actor::Trusted, now, until(now));
        let ended = store.end_sessions(user.id, scope, reason, &doing);
        ended.await.unwrap();
        kit::open(&store, user.id, at(3)).await;
        let traces = [
            new.email,
            new.email_key.as_str().to_owned(),
            new.name.unwrap(),
            kit::hash(1).as_str().to_owned(),
            "192.0.2.7".to_owned(),
            "contract/1".to_owned(),
            user.id.to_string(),
            session.id.to_string(),
        ];
        let before = dump(&fresh).await.into_values().collect::<String>();
        for trace in &traces {
            assert!(before.contains(trace), "{trace} is not where it was sought");
        }
        let doing = act(Actor::Trusted, at(4), until(at(4)));
        let deleted = store.delete_user(user.id, None, &doing);
        deleted.await.unwrap();
        for (table, text) in dump(&fresh).await {
            for trace in &traces {
                let is_id = traces[6..].contains(trace);
                let allowed = is_id && ["revocations", "audit_events"].contains(&table.as_str());
                assert!(allowed || !text.contains(trace), "{trace} in {table}");
            }
        }
    }
}

/// All rows of all tables as text, ids as in texts.
async fn dump(fresh: &Fresh) -> BTreeMap<String, String> {
    let mut dump = BTreeMap::new();
    match &fresh.database {
        Database::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let tables =
                sqlx::query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'");
            for table in tables.fetch_all(&mut connection).await.unwrap() {
                let name: String = table.get(0);
                let sql = format!("SELECT {name}::text FROM {name}");
                let rows = sqlx::query(AssertSqlSafe(sql));
                let rows = rows.fetch_all(&mut connection).await.unwrap();
                // Text inside a row is quoted, and its quotes and backslashes doubled.
                let text = rows.iter().map(|row| row.get::<String, _>(0)).collect();
                dump.insert(name, text);
            }
        }
        _ => {
            let url = format!("sqlite://{}", fresh.file().display());
            let mut connection = SqliteConnection::connect(&url).await.unwrap();
            let columns = sqlx::query(
                "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c
                 WHERE t.type = 'table'",
            );
            for column in columns.fetch_all(&mut connection).await.unwrap() {
                let (table, name): (String, String) = (column.get(0), column.get(1));
                let sql = format!(
                    "SELECT CASE typeof({name}) WHEN 'blob' THEN lower(hex({name}))
                        ELSE CAST({name} AS TEXT) END FROM {table}"
                );
                let rows = sqlx::query(AssertSqlSafe(sql));
                let text: &mut String = dump.entry(table).or_default();
                for row in rows.fetch_all(&mut connection).await.unwrap() {
                    text.push_str(&with_dashes(row.get::<Option<String>, _>(0)));
                    text.push('\n');
                }
            }
        }
    }
    dump
}

/// 32 hexadecimal digits as a UUID is written; anything else as it is.
fn with_dashes(text: Option<String>) -> String {
    let text = text.unwrap_or_default();
    match uuid::Uuid::try_parse(&text) {
        Ok(id) => id.to_string(),
        Err(_) => text,
    }
}

#[tokio::test]
async fn refresh_costs_two_statements_and_a_retry_one() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let user = kit::user(&store).await;
    let session = kit::open(&store, user.id, at(0)).await;
    let counter = Counter::default();
    let _watching = tracing::subscriber::set_default(counter.clone());
    kit::refreshed(&store, session.id, 0, at(1)).await;
    assert_eq!(counter.take(), 2);
    kit::refreshed(&store, session.id, 0, at(1)).await;
    assert_eq!(counter.take(), 1);
}

/// Counts the statements that sqlx reports.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::AcqRel)
    }
}

impl tracing::Subscriber for Counter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
