//! The schema: equal on both engines, brought up by any number of processes, guarded against older
//! binaries. And what an operator reads when a database cannot be used.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;

use countersign_store_sql::{ConnectError, Database, SchemaError, SchemaState, SqlStore};
use sqlx::{Connection, PgConnection, Row, SqliteConnection};
use support::{Fresh, POOLS};

async fn both() -> [Fresh; 2] {
    [support::sqlite(), support::postgres().await]
}

/// A table: its columns with whether they must be set, and its unique keys.
#[derive(Debug, Default, PartialEq)]
struct Table {
    columns: BTreeMap<String, bool>,
    unique: BTreeSet<Vec<String>>,
}

type Schema = BTreeMap<String, Table>;

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_unique_keys() {
    let [sqlite, postgres] = both().await;
    for fresh in [&sqlite, &postgres] {
        fresh.connect().await.migrate().await.unwrap();
    }
    let on_sqlite = sqlite_schema(&sqlite).await;
    assert!(on_sqlite["users"].columns["email_key"]);
    assert!(
        on_sqlite["users"]
            .unique
            .contains(&vec!["email_key".to_owned()])
    );
    assert_eq!(on_sqlite, postgres_schema(&postgres).await);
}

async fn sqlite_schema(fresh: &Fresh) -> Schema {
    let mut connection = sqlite_connection(fresh).await;
    let rows = sqlx::raw_sql(
        "SELECT t.name, c.name, c.\"notnull\" FROM sqlite_schema t, pragma_table_info(t.name) c
         WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
    );
    let mut schema = Schema::new();
    for row in rows.fetch_all(&mut connection).await.unwrap() {
        let table = schema.entry(row.get(0)).or_default();
        // An INTEGER PRIMARY KEY is never NULL, whatever the table says.
        let column: String = row.get(1);
        let set = row.get::<i64, _>(2) == 1 || column == "seq";
        table.columns.insert(column, set);
    }
    for (name, table) in &mut schema {
        // A key that is the table's row id has no index of its own.
        let rows = sqlx::query("SELECT name FROM pragma_table_info($1) WHERE pk > 0 ORDER BY pk");
        let rows = rows.bind(name).fetch_all(&mut connection).await.unwrap();
        table
            .unique
            .insert(rows.iter().map(|row| row.get(0)).collect());
        let indexes = sqlx::query("SELECT name FROM pragma_index_list($1) WHERE \"unique\" = 1");
        let indexes = indexes.bind(name).fetch_all(&mut connection).await.unwrap();
        for index in indexes {
            let rows = sqlx::query("SELECT name FROM pragma_index_info($1) ORDER BY seqno");
            let rows = rows.bind(index.get::<String, _>(0));
            let rows = rows.fetch_all(&mut connection).await.unwrap();
            table
                .unique
                .insert(rows.iter().map(|row| row.get(0)).collect());
        }
    }
    schema
}

async fn postgres_schema(fresh: &Fresh) -> Schema {
    let mut connection = PgConnection::connect(&fresh.url()).await.unwrap();
    let rows = sqlx::query(
        "SELECT table_name::text, column_name::text, is_nullable = 'NO'
         FROM information_schema.columns WHERE table_schema = 'public'",
    );
    let mut schema = Schema::new();
    for row in rows.fetch_all(&mut connection).await.unwrap() {
        let table = schema.entry(row.get(0)).or_default();
        table.columns.insert(row.get(1), row.get(2));
    }
    let rows = sqlx::query(
        "SELECT i.indrelid::regclass::text,
            (SELECT string_agg(a.attname, ',' ORDER BY k.place) FROM
                unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
                JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum)
         FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
         WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace",
    );
    for row in rows.fetch_all(&mut connection).await.unwrap() {
        let columns: String = row.get(1);
        let table = schema.get_mut(&row.get::<String, _>(0)).unwrap();
        table
            .unique
            .insert(columns.split(',').map(str::to_owned).collect());
    }
    schema
}

async fn sqlite_connection(fresh: &Fresh) -> SqliteConnection {
    let url = format!("sqlite://{}", fresh.file().display());
    SqliteConnection::connect(&url).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_migrate_at_once() {
    for fresh in both().await {
        let mut tasks = Vec::new();
        for _ in 0..10 {
            let database = fresh.database.clone();
            tasks.push(tokio::spawn(async move {
                let store = SqlStore::connect(&database, POOLS).await.unwrap();
                let done = store.migrate().await.unwrap();
                assert_eq!(store.schema().await.unwrap(), SchemaState::Current);
                done
            }));
        }
        let mut done = Vec::new();
        for task in tasks {
            done.extend(task.await.unwrap());
        }
        done.sort_unstable();
        let each: Vec<_> = (1..=done.len() as i64).collect();
        assert_eq!(done, each, "each migration ran once");
    }
}

#[tokio::test]
async fn plan_tells_what_migrate_will_do() {
    for fresh in both().await {
        let store = fresh.connect().await;
        let plan = store.plan().await.unwrap();
        let behind = SchemaState::Behind {
            pending: plan.len(),
        };
        assert_eq!(store.schema().await.unwrap(), behind);
        assert_eq!((plan[0].number, plan[0].name), (1, "0001_core"));
        assert!(plan[0].statements[0].sql.starts_with("CREATE TABLE users"));
        assert_eq!(
            store.plan().await.unwrap(),
            plan,
            "planning changes nothing"
        );
        store.migrate().await.unwrap();
        assert_eq!(store.plan().await.unwrap(), []);
        assert_eq!(store.migrate().await.unwrap(), [0; 0]);
    }
}

/// Writes a migration down as applied, as a newer version would.
async fn apply_newer(fresh: &Fresh, number: i64, sql: &'static str) {
    const NOTE: &str = "INSERT INTO schema_migrations (number, name, sql) VALUES ($1, 'x', $2)";
    match &fresh.database {
        Database::Postgres(url) => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            let note = sqlx::query(NOTE).bind(number).bind(sql);
            note.execute(&mut connection).await.unwrap();
        }
        _ => {
            let mut connection = sqlite_connection(fresh).await;
            let note = sqlx::query(NOTE).bind(number).bind(sql);
            note.execute(&mut connection).await.unwrap();
        }
    }
}

#[tokio::test]
async fn newer_schema_that_serves_this_version_is_taken() {
    for fresh in both().await {
        let store = fresh.connect().await;
        let newest = *store.migrate().await.unwrap().last().unwrap();
        apply_newer(&fresh, newest + 1, "-- serves: 1\n\nSELECT 1").await;
        // The newest of all serves this version, the one before serves only part of those.
        let with_newest: &'static str =
            format!("-- tells: x\n-- serves: {newest}\nSELECT 1").leak();
        apply_newer(&fresh, newest + 3, with_newest).await;
        let ahead = SchemaState::Ahead {
            database: newest + 3,
            binary: newest,
        };
        for store in [store, fresh.connect().await] {
            assert_eq!(store.schema().await.unwrap(), ahead);
            assert_eq!(store.migrate().await.unwrap(), [0; 0]);
            assert_eq!(store.plan().await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn newer_schema_that_does_not_serve_this_version_is_refused_in_one_sentence() {
    // Says nothing, says it where it is no header, serves only newer ones, or follows one that does; and how much newer than
    // this one the oldest is that is served.
    let cases = [
        ["-- serves: NEWEST", "SELECT 1", "2"],
        ["SELECT 1\n-- serves: 1", "-- serves: NEWEST", "1"],
        ["-- serves: NEXT", "-- serves: NEXT", "1"],
        ["-- serves: many", "-- serves: 1", "1"],
    ];
    for case in cases {
        for fresh in both().await {
            let store = fresh.connect().await;
            let newest = *store.migrate().await.unwrap().last().unwrap();
            let text = |sql: &str| -> &'static str {
                let sql = sql.replace("NEWEST", &newest.to_string());
                sql.replace("NEXT", &(newest + 1).to_string()).leak()
            };
            apply_newer(&fresh, newest + 1, text(case[0])).await;
            apply_newer(&fresh, newest + 2, text(case[1])).await;
            let refused = |error: &SchemaError| match error {
                SchemaError::NotServed {
                    database,
                    binary,
                    serves,
                } => {
                    let newer: i64 = case[2].parse().unwrap();
                    (*database, *binary, *serves) == (newest + 2, newest, newest + newer)
                }
                _ => false,
            };
            assert!(refused(&store.schema().await.unwrap_err()), "{case:?}");
            assert!(refused(&store.migrate().await.unwrap_err()));
            assert!(refused(&store.plan().await.unwrap_err()));
            let error = SqlStore::connect(&fresh.database, POOLS).await.unwrap_err();
            assert!(matches!(&error, ConnectError::Schema(error) if refused(error)));
            let sentence = error.to_string();
            assert!(
                sentence.contains("upgrade")
                    && sentence.contains(&format!("schema {}", newest + 2))
                    && !sentence.contains('\n'),
                "{sentence}"
            );
        }
    }
}

#[tokio::test]
async fn known_migrations_must_be_those_that_were_applied_below_a_newer_schema_too() {
    for fresh in both().await {
        let store = fresh.connect().await;
        let newest = *store.migrate().await.unwrap().last().unwrap();
        let serves: &'static str = format!("-- serves: {newest}").leak();
        apply_newer(&fresh, newest + 1, serves).await;
        // Comments may change: the text without them was executed.
        const COMMENT: &str =
            "UPDATE schema_migrations SET sql = '-- locks: x' || char || sql WHERE number = 2";
        const CHANGE: &str =
            "UPDATE schema_migrations SET sql = sql || '; DROP TABLE users' WHERE number = 2";
        match &fresh.database {
            Database::Postgres(url) => {
                let mut connection = PgConnection::connect(url).await.unwrap();
                let comment = sqlx::AssertSqlSafe(COMMENT.replace("char", "chr(10)"));
                sqlx::raw_sql(comment)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                assert!(matches!(
                    store.schema().await.unwrap(),
                    SchemaState::Ahead { .. }
                ));
                sqlx::raw_sql(CHANGE)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            _ => {
                let mut connection = sqlite_connection(&fresh).await;
                let comment = sqlx::AssertSqlSafe(COMMENT.replace("char", "char(10)"));
                sqlx::raw_sql(comment)
                    .execute(&mut connection)
                    .await
                    .unwrap();
                assert!(matches!(
                    store.schema().await.unwrap(),
                    SchemaState::Ahead { .. }
                ));
                sqlx::raw_sql(CHANGE)
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
        let changed = store.schema().await.unwrap_err();
        assert!(
            matches!(changed, SchemaError::Changed { number: 2 }),
            "{changed}"
        );
    }
}

#[tokio::test]
async fn sqlite_files_belong_to_their_owner_alone() {
    let fresh = support::sqlite();
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    let folder = fresh.file().parent().unwrap().to_owned();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        names.push(entry.file_name().into_string().unwrap());
        assert_eq!(mode, 0o600, "{names:?}");
    }
    names.sort();
    let expected = ["countersign.db", "countersign.db-shm", "countersign.db-wal"];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn unusable_databases_are_named_in_one_line() {
    let fresh = support::sqlite();
    let folder = fresh.file().parent().unwrap().to_owned();
    std::fs::write(
        fresh.file(),
        "This is not a database, and long enough to tell.",
    )
    .unwrap();
    let cases = [
        (Database::Sqlite(folder.clone()), "cannot be used"),
        (Database::Sqlite(folder.join("no/such.db")), "no/such.db"),
        (fresh.database.clone(), "not a database"),
        (
            Database::Postgres("postgres://u:hunter2@127.0.0.1:1/x".to_owned()),
            "127.0.0.1:1",
        ),
        (
            Database::Postgres("postgres://u:hunter2@127.0.0.1:x/x".to_owned()),
            "URL",
        ),
        (Database::Postgres("hunter2 is no URL".to_owned()), "URL"),
    ];
    for (database, expected) in cases {
        let error = SqlStore::connect(&database, POOLS).await.unwrap_err();
        let line = error.to_string();
        assert!(line.contains(expected) && !line.contains('\n'), "{line}");
        let all = format!("{line} {error:?} {database:?}");
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[tokio::test]
async fn missing_database_is_unreachable() {
    let fresh = support::postgres().await;
    let gone = Database::Postgres(format!("{}x", fresh.url().trim_end_matches('?')));
    let error = SqlStore::connect(&gone, POOLS).await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(..)), "{error}");
}

#[tokio::test]
async fn memory_is_a_database_of_its_own() {
    let first = SqlStore::connect(&Database::SqliteInMemory, POOLS).await;
    let second = SqlStore::connect(&Database::SqliteInMemory, POOLS).await;
    let (first, second) = (first.unwrap(), second.unwrap());
    let pending = first.migrate().await.unwrap().len();
    assert_eq!(first.clone().schema().await.unwrap(), SchemaState::Current);
    let behind = SchemaState::Behind { pending };
    assert_eq!(second.schema().await.unwrap(), behind);
}

/// Only `AssertSqlSafe` lets sqlx take a text that is not a constant.
#[test]
fn no_statement_is_built_at_run_time() {
    let mut folders = vec![std::path::PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src"
    ))];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("AssertSqlSafe"), "{}", path.display());
        }
    }
    assert!(files > 10);
}
