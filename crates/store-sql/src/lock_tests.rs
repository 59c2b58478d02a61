//! What is derived of the locks of migrations, compared with what PostgreSQL does; and waiting for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::{Connection, PgConnection, SqliteConnection};
use tokio::time::Instant;

use crate::SqlStore;
use crate::ddl::{self, Engine, Mode, Step, Work};
use crate::driver::Tx;
use crate::migration_tests::ONCE;
use crate::migrations::{Migration, POSTGRES};
use crate::schema::{self, Persistence, SchemaError};
use crate::support::{self, Fresh};

/// The strongest lock of each table. PostgreSQL takes weaker ones beside it.
type Held = BTreeMap<String, Mode>;

fn hold(held: &mut Held, table: String, mode: Mode) {
    let strongest = held.entry(table).or_insert(mode);
    *strongest = mode.max(*strongest);
}

/// Tables by the number that PostgreSQL has for them, with the number of their files.
async fn tables(tx: &mut Tx) -> BTreeMap<i64, (String, i64)> {
    const SQL: &str =
        "SELECT c.oid::bigint, c.relname::text, pg_relation_filenode(c.oid)::bigint FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace";
    let rows = tx.run(SQL, vec![]).await.unwrap();
    let read = |row: &crate::driver::Row| {
        let mut columns = row.columns();
        (
            columns.take().unwrap(),
            (columns.take().unwrap(), columns.take().unwrap()),
        )
    };
    rows.iter().map(read).collect()
}

/// What this transaction has locked of these tables. Those modes that hold up nobody are left out.
async fn held(tx: &mut Tx, tables: &BTreeMap<i64, (String, i64)>) -> Held {
    const SQL: &str = "SELECT relation::bigint, mode FROM pg_locks
        WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted";
    let rows = tx.run(SQL, vec![]).await.unwrap();
    let read = |row: &crate::driver::Row| {
        let mut columns = row.columns();
        let (number, mode): (i64, String) = (columns.take().unwrap(), columns.take().unwrap());
        let mode = match mode.as_str() {
            "AccessShareLock" | "RowShareLock" => return None,
            "RowExclusiveLock" => Mode::RowExclusive,
            "ShareUpdateExclusiveLock" => Mode::ShareUpdateExclusive,
            "ShareLock" => Mode::Share,
            "ShareRowExclusiveLock" => Mode::ShareRowExclusive,
            "AccessExclusiveLock" => Mode::AccessExclusive,
            other => panic!("an unknown mode: {other}"),
        };
        let (table, _) = tables.get(&number)?;
        Some((table.clone(), mode))
    };
    let mut held = Held::new();
    for (table, mode) in rows.iter().filter_map(read) {
        hold(&mut held, table, mode);
    }
    held
}

/// Runs a script statement by statement, and compares after each what is locked and rewritten with what was derived.
async fn compare(tx: &mut Tx, script: &'static str) {
    let existing = tables(tx).await;
    // The table of applied migrations is written by whoever migrates, not by the script.
    let before = held(tx, &existing).await;
    let (mut derived, mut new) = (before.clone(), BTreeSet::new());
    for statement in ddl::statements(script) {
        let files = tables(tx).await;
        let mut rewritten = BTreeSet::new();
        for step in ddl::steps(&statement.words) {
            for lock in ddl::locks(Engine::Postgres, &step, &new) {
                let table = lock.table.expect("a statement that is understood");
                if lock.work == Work::Rewrite {
                    rewritten.insert(table.clone());
                }
                hold(&mut derived, table, lock.mode);
            }
            if let Step::CreateTable { table, .. } = step {
                new.insert(table);
            }
        }
        tx.script(statement.text).await.unwrap();
        let text = statement.text;
        assert_eq!(held(tx, &existing).await, derived, "{text}");
        let after = tables(tx).await;
        let changed = |(number, (table, file)): (&i64, &(String, i64))| {
            let now = after.get(number)?.1;
            (now != *file && existing.contains_key(number)).then(|| table.clone())
        };
        let changed: BTreeSet<_> = files.iter().filter_map(changed).collect();
        assert_eq!(changed, rewritten, "rewritten by: {text}");
    }
}

#[tokio::test]
async fn locks_of_migrations_are_what_postgres_takes() {
    let fresh = support::postgres().await;
    let store = fresh.connect().await;
    for (place, migration) in POSTGRES.iter().enumerate() {
        let mut tx = store.db.begin_migration().await.unwrap();
        compare(&mut tx, migration.sql).await;
        tx.rollback().await.unwrap();
        let until = &POSTGRES[..=place];
        schema::migrate_to(&store.db, until, ONCE).await.unwrap();
    }
}

/// What future migrations may do, each in a transaction of its own.
#[tokio::test]
async fn locks_of_other_statements_are_what_postgres_takes() {
    const STATEMENTS: [&str; 27] = [
        "CREATE TABLE a (id UUID REFERENCES users (id) ON DELETE CASCADE, s UUID REFERENCES sessions (id)); CREATE INDEX a_id ON a (id)",
        "CREATE TABLE a (id UUID); INSERT INTO a SELECT id FROM users; ALTER TABLE a ADD COLUMN b UUID DEFAULT gen_random_uuid()",
        "CREATE INDEX users_name ON users (name) WHERE name IS NOT NULL",
        "CREATE UNIQUE INDEX ON users (name)",
        "ALTER TABLE users ADD COLUMN a TEXT",
        "ALTER TABLE users ADD COLUMN a TEXT NOT NULL DEFAULT 'x'::text, ADD COLUMN b BIGINT DEFAULT -1",
        "ALTER TABLE users ADD COLUMN a TIMESTAMPTZ NOT NULL DEFAULT now(), ADD COLUMN b TIMESTAMPTZ DEFAULT CURRENT_TIMESTAMP",
        "ALTER TABLE users ADD COLUMN a UUID DEFAULT gen_random_uuid()",
        "ALTER TABLE users ADD COLUMN a BIGINT GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE users ADD COLUMN a TEXT UNIQUE",
        "ALTER TABLE users ADD COLUMN a TEXT CHECK (a <> '')",
        "ALTER TABLE revocations ADD COLUMN a UUID REFERENCES users (id)",
        "ALTER TABLE users ADD CHECK (name <> '')",
        "ALTER TABLE users ADD CONSTRAINT a CHECK (name <> '') NOT VALID; ALTER TABLE users VALIDATE CONSTRAINT a",
        "ALTER TABLE users ADD UNIQUE (name)",
        "ALTER TABLE revocations ADD CONSTRAINT a FOREIGN KEY (event) REFERENCES users (id)",
        "ALTER TABLE revocations ADD FOREIGN KEY (event) REFERENCES users (id) NOT VALID",
        "ALTER TABLE users ALTER COLUMN created_at TYPE TEXT",
        "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
        "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE users RENAME COLUMN name TO called",
        "ALTER TABLE users DROP COLUMN name",
        "ALTER TABLE revocations DROP CONSTRAINT revocations_known",
        "DROP TABLE rate_limits",
        "UPDATE users SET name = 'x'; DELETE FROM revocations",
        "INSERT INTO rate_limits (key, count, until, lapses_at) SELECT '', 1, now(), now() FROM users",
    ];
    let fresh = support::postgres().await;
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    for script in STATEMENTS {
        let mut tx = store.db.begin_migration().await.unwrap();
        compare(&mut tx, script).await;
        tx.rollback().await.unwrap();
    }
}

#[test]
fn what_is_held_up_follows_from_the_mode() {
    let held_up = |mode: Mode| (mode.blocks_reads(), mode.blocks_writes());
    assert_eq!(held_up(Mode::AccessExclusive), (true, true));
    assert_eq!(held_up(Mode::ShareRowExclusive), (false, true));
    assert_eq!(held_up(Mode::Share), (false, true));
    assert_eq!(held_up(Mode::ShareUpdateExclusive), (false, false));
    assert_eq!(held_up(Mode::RowExclusive), (false, false));
    assert_eq!(held_up(Mode::File), (false, true));
}

const FIRST: Migration = Migration {
    number: 1,
    name: "0001_first",
    sql: "CREATE TABLE one (id BIGINT)",
};
const SECOND: Migration = Migration {
    number: 2,
    name: "0002_second",
    sql: "ALTER TABLE one ADD COLUMN name TEXT",
};

/// A database on which somebody holds what the second migration needs.
async fn held_by_another(fresh: &Fresh) -> (SqlStore, PgConnection) {
    let store = fresh.connect().await;
    schema::migrate_to(&store.db, &[FIRST], ONCE).await.unwrap();
    let mut other = PgConnection::connect(&fresh.url()).await.unwrap();
    let lock = "BEGIN; SELECT count(*) FROM one";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    (store, other)
}

/// All who want the table wait behind the migration that waits: for no longer than requests have patience.
#[tokio::test(flavor = "multi_thread")]
async fn migration_that_does_not_get_its_lock_lets_others_pass_and_gives_up() {
    let fresh = support::postgres().await;
    let (store, other) = held_by_another(&fresh).await;
    let reading = store.clone();
    let reads = tokio::spawn(async move {
        let (mut longest, mut count) = (Duration::ZERO, 0);
        loop {
            let began = Instant::now();
            let read = reading
                .db
                .read("SELECT id FROM one WHERE id = 7", vec![])
                .await;
            if read.is_err() {
                return (read.map(drop), longest, count);
            }
            longest = longest.max(began.elapsed());
            count += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            if count > 3
                && longest > Duration::from_millis(250)
                && began.elapsed() < Duration::from_millis(20)
            {
                return (Ok(()), longest, count);
            }
        }
    });
    let persistence = Persistence {
        tries: 2,
        pause: Duration::from_millis(300),
    };
    let done = schema::migrate_to(&store.db, &[FIRST, SECOND], persistence).await;
    let error = done.unwrap_err();
    assert!(
        matches!(
            error,
            SchemaError::Locked {
                number: 2,
                tries: 2,
                ..
            }
        ),
        "{error}"
    );
    let line = error.to_string();
    assert!(
        line.contains("pg_stat_activity") && !line.contains('\n'),
        "{line}"
    );
    let (read, longest, count) = reads.await.unwrap();
    read.unwrap();
    println!("{count} reads, the longest took {longest:?}");
    assert!(longest < Duration::from_millis(1500), "{longest:?}");
    // Nothing is left of it.
    other.close().await.unwrap();
    let done = schema::migrate_to(&store.db, &[FIRST, SECOND], ONCE).await;
    assert_eq!(done.unwrap(), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_is_tried_again_until_the_lock_is_free() {
    let fresh = support::postgres().await;
    let (store, other) = held_by_another(&fresh).await;
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(2500)).await;
        other.close().await.unwrap();
    });
    let persistence = Persistence {
        tries: 5,
        pause: Duration::from_millis(100),
    };
    let done = schema::migrate_to(&store.db, &[FIRST, SECOND], persistence).await;
    assert_eq!(done.unwrap(), [2]);
    release.await.unwrap();

    let fresh = support::sqlite();
    let store = fresh.connect().await;
    schema::migrate_to(&store.db, &[FIRST], ONCE).await.unwrap();
    let url = format!("sqlite://{}", fresh.file().display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = schema::migrate_to(&store.db, &[FIRST, SECOND], ONCE)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SchemaError::Locked { number: 2, .. }),
        "{error}"
    );
    let release = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(3500)).await;
        other.close().await.unwrap();
    });
    let done = schema::migrate_to(&store.db, &[FIRST, SECOND], persistence).await;
    assert_eq!(done.unwrap(), [2]);
    release.await.unwrap();
}
