//! That no table and no column is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use crate::SqlStore;
use crate::copy::tables::{COPIED, Kind, LEFT};
use crate::support;

/// Tables, their columns, and what the engine calls the columns' types.
type Schema = BTreeMap<String, BTreeMap<String, String>>;

fn sqlite_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Uuid | Kind::Bytes => "BLOB",
        Kind::Text | Kind::Json => "TEXT",
        Kind::Time | Kind::Int => "INTEGER",
    }
}

fn postgres_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Uuid => "uuid",
        Kind::Text => "text",
        Kind::Time => "timestamp with time zone",
        Kind::Int => "bigint",
        Kind::Bytes => "bytea",
        Kind::Json => "jsonb",
    }
}

fn declared(name_of: impl Fn(Kind) -> &'static str) -> Schema {
    let columns = |table: &crate::copy::tables::Table| {
        let columns = table.columns.iter();
        columns
            .map(|column| (column.name.to_owned(), name_of(column.kind).to_owned()))
            .collect()
    };
    COPIED
        .iter()
        .map(|table| (table.name.to_owned(), columns(table)))
        .collect()
}

async fn found(store: &SqlStore, sql: &'static str) -> Schema {
    let mut schema = Schema::new();
    for row in store.db.read(sql, vec![]).await.unwrap() {
        let mut columns = row.columns();
        let table = schema.entry(columns.take().unwrap()).or_default();
        table.insert(columns.take().unwrap(), columns.take().unwrap());
    }
    schema
}

/// Every table that the migrations make is declared, with all its columns, or is declared to be left with a reason.
fn compare(mut found: Schema, declared: &Schema) {
    let left: BTreeSet<&str> = LEFT.iter().map(|left| left.name).collect();
    for left in &LEFT {
        assert!(
            found.remove(left.name).is_some(),
            "there is no `{}`",
            left.name
        );
        assert!(!left.why.is_empty());
    }
    let undeclared: Vec<_> = found
        .keys()
        .filter(|name| !declared.contains_key(*name))
        .collect();
    assert_eq!(
        undeclared, [""; 0],
        "add them to the table of tables ({left:?} are left)"
    );
    assert_eq!(&found, declared);
}

#[tokio::test]
async fn every_table_and_column_of_sqlite_is_declared() {
    let fresh = support::sqlite();
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    let sql = "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c \
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";
    compare(found(&store, sql).await, &declared(sqlite_type));
}

#[tokio::test]
async fn every_table_and_column_of_postgres_is_declared() {
    let fresh = support::postgres().await;
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    let sql = "SELECT table_name::text, column_name::text, data_type::text \
        FROM information_schema.columns WHERE table_schema = 'public'";
    compare(found(&store, sql).await, &declared(postgres_type));
}

#[test]
fn rows_come_after_those_that_they_refer_to() {
    let place = |name| COPIED.iter().position(|table| table.name == name).unwrap();
    assert!(place("users") < place("sessions"));
    let whole = COPIED.iter().position(|table| table.paging.is_none());
    let mut after = COPIED.iter().skip(whole.unwrap());
    assert!(
        after.all(|table| table.paging.is_none()),
        "what is gone through comes first"
    );
}

/// The number of a column is its place in the values of an insert.
#[test]
fn columns_are_numbered_in_order() {
    for table in &COPIED {
        let mut end = 0;
        for number in 1..=table.columns.len() {
            let here = table.insert.find(&format!("${number}::")).unwrap();
            assert!(here > end, "{}: {number}", table.name);
            end = here;
        }
        let beyond = format!("${}::", table.columns.len() + 1);
        assert!(!table.insert.contains(&beyond), "{}", table.name);
    }
}

#[tokio::test]
async fn every_statement_prepares() {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (sqlite, postgres) = (sqlite.connect().await, postgres.connect().await);
    sqlite.migrate().await.unwrap();
    postgres.migrate().await.unwrap();
    for table in &COPIED {
        for store in [&sqlite, &postgres] {
            for sql in [table.count, table.all, table.clear] {
                store.db.prepare(sql).await.unwrap();
            }
        }
        postgres.db.prepare(table.insert).await.unwrap();
        let Some(paging) = &table.paging else {
            continue;
        };
        for store in [&sqlite, &postgres] {
            for sql in [paging.first, paging.after] {
                store.db.prepare(sql).await.unwrap();
            }
        }
        sqlite.db.prepare(paging.of_keys_sqlite).await.unwrap();
        postgres.db.prepare(paging.of_keys_postgres).await.unwrap();
        postgres.db.prepare(paging.delete).await.unwrap();
    }
}
