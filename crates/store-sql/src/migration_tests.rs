//! The rules for migrations, checked over the files of both engines, and what is known before one is applied.

use std::time::Duration;

use crate::ddl::{self, Engine, Mode, Step, Work, not_additive};
use crate::migrations::{Migration, POSTGRES, SQLITE, kinds, serves};
use crate::schema::{self, Persistence};
use crate::{records, support};

#[test]
fn both_engines_have_the_same_migrations_and_headers() {
    let heads = |folder: &[Migration]| -> Vec<_> {
        let head = |one: &Migration| {
            let kinds = ["ends", "tells"].map(|what| kinds(one.sql, what).join(" "));
            (one.number, one.name, serves(one.sql), kinds)
        };
        folder.iter().map(head).collect()
    };
    assert_eq!(heads(SQLITE), heads(POSTGRES));
    assert_eq!(wrong(SQLITE), [""; 0]);
    assert_eq!(wrong(POSTGRES), [""; 0]);
}

/// A sentence for each rule that a migration breaks: CONTRIBUTING.md has them.
pub(crate) fn wrong(migrations: &[Migration]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut before = 0;
    for migration in migrations {
        let name = migration.name;
        let Some(serves) = serves(migration.sql) else {
            wrong.push(format!(
                "{name} does not say which schema it serves: `-- serves: N`"
            ));
            continue;
        };
        if migration.number <= before || !name.starts_with(&format!("{:04}_", migration.number)) {
            wrong.push(format!("{name} is out of order"));
        }
        before = migration.number;
        if !(1..=migration.number).contains(&serves) {
            wrong.push(format!("{name} serves a schema that there is not"));
        }
        if serves < migration.number {
            let objections = not_additive(migration.sql).into_iter();
            wrong.extend(objections.map(|why| format!("{name} serves older code, but {why}")));
            if !kinds(migration.sql, "ends").is_empty() {
                wrong.push(format!(
                    "{name} serves code that does not know a kind that ends something"
                ));
            }
        }
        for statement in ddl::statements(migration.sql) {
            if ddl::steps(&statement.words).contains(&Step::Unknown) {
                wrong.push(format!(
                    "{name}: nobody knows what this locks: {}",
                    statement.text
                ));
            }
        }
    }
    wrong
}

#[test]
fn migrations_that_break_a_rule_are_found() {
    let broken = |number, name, sql| wrong(&[Migration { number, name, sql }]).join("; ");
    assert_eq!(
        broken(2, "0002_a", "-- serves: 1\nALTER TABLE a ADD COLUMN b TEXT"),
        ""
    );
    assert_eq!(
        broken(
            2,
            "0002_a",
            "-- serves: 1\n-- tells: news\nCREATE TABLE a (b TEXT)"
        ),
        ""
    );
    assert_eq!(
        broken(2, "0002_a", "-- serves: 2\n-- ends: all\nDROP TABLE a"),
        ""
    );
    let cases = [
        ("0002_a", "CREATE TABLE a (b TEXT)", "does not say"),
        (
            "0002_a",
            "CREATE TABLE a (b TEXT)\n-- serves: 1",
            "does not say",
        ),
        (
            "0003_a",
            "-- serves: 1\nCREATE TABLE a (b TEXT)",
            "out of order",
        ),
        (
            "0002_a",
            "-- serves: 0\nCREATE TABLE a (b TEXT)",
            "that there is not",
        ),
        (
            "0002_a",
            "-- serves: 3\nCREATE TABLE a (b TEXT)",
            "that there is not",
        ),
        (
            "0002_a",
            "-- serves: 1\nCREATE TABLE a (b TEXT); DROP TABLE c",
            "statement 2: drops a table",
        ),
        (
            "0002_a",
            "-- serves: 1\n-- ends: all\nCREATE TABLE a (b TEXT)",
            "ends something",
        ),
        (
            "0002_a",
            "-- serves: 2\nCREATE VIEW a AS SELECT 1",
            "nobody knows",
        ),
    ];
    for (name, sql, why) in cases {
        let found = broken(2, name, sql);
        assert!(found.contains(why), "{sql}: {found}");
    }
}

/// Every kind of announcement that this version writes was declared with the schema that knows it first.
#[test]
fn kinds_of_announcements_are_declared() {
    let declared: Vec<_> = ["ends", "tells"]
        .iter()
        .flat_map(|what| SQLITE.iter().flat_map(|one| kinds(one.sql, what)))
        .collect();
    let mut sorted = declared.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), declared.len(), "one is declared twice");
    let mut known = records::KINDS.to_vec();
    known.sort_unstable();
    assert_eq!(sorted, known);
}

/// Older code goes on beside a newer schema only if it names what it reads and writes.
#[test]
fn statements_name_their_columns() {
    for (name, sql) in crate::statements::ALL {
        let words = ddl::statements(sql).remove(0).words;
        let everything = words
            .windows(2)
            .any(|pair| pair == ["SELECT", "*"] || pair == ["RETURNING", "*"]);
        assert!(!everything, "{name}");
        if let Some(place) = words.iter().position(|word| *word == "INTO") {
            assert_eq!(words[place + 2], "(", "{name}");
        }
    }
}

pub(crate) const ONCE: Persistence = Persistence {
    tries: 1,
    pause: Duration::ZERO,
};
#[tokio::test]
async fn plan_knows_how_large_tables_are() {
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = fresh.connect().await;
        let new = store.plan().await.unwrap();
        let sizes = new
            .iter()
            .flat_map(|one| &one.statements)
            .flat_map(|one| &one.locks);
        assert!(
            sizes.clone().all(|lock| lock.size.is_none()),
            "nothing is there yet"
        );
        let until = &store.db.migrations()[..5];
        schema::migrate_to(&store.db, until, ONCE).await.unwrap();
        let plan = store.plan().await.unwrap();
        let lock = &plan[0].statements.last().unwrap().locks[0];
        assert_eq!(
            (plan[0].number, lock.table.as_deref()),
            (6, Some("revocations"))
        );
        match store.db.dialect().engine {
            Engine::Sqlite => assert_eq!(lock.mode, Mode::File),
            Engine::Postgres => {
                assert_eq!((lock.mode, lock.work), (Mode::AccessExclusive, Work::Scan));
                assert_eq!(lock.size.unwrap().rows, None, "before `ANALYZE`");
                assert!(lock.size.unwrap().bytes >= 8192);
            }
        }
    }
}

#[tokio::test]
async fn sizes_are_those_of_the_database() {
    for fresh in [support::sqlite(), support::postgres().await] {
        let store = fresh.connect().await;
        store.migrate().await.unwrap();
        for number in 0..300_u128 {
            let values = vec![
                "session".into(),
                uuid::Uuid::from_u128(number).into(),
                None::<jiff::Timestamp>.into(),
                jiff::Timestamp::UNIX_EPOCH.into(),
                jiff::Timestamp::UNIX_EPOCH.into(),
                uuid::Uuid::from_u128(number).into(),
            ];
            store
                .db
                .write(crate::statements::ANNOUNCE, values)
                .await
                .unwrap();
        }
        if store.db.dialect().engine == Engine::Postgres {
            store.db.write("ANALYZE revocations", vec![]).await.unwrap();
        }
        let values = vec!["revocations".into()];
        let rows = store
            .db
            .read(store.db.dialect().table_size, values)
            .await
            .unwrap();
        let mut columns = rows[0].columns();
        let (bytes, rows): (i64, i64) = (columns.take().unwrap(), columns.take().unwrap());
        assert_eq!(rows, 300);
        assert!((20_000..500_000).contains(&bytes), "{bytes}");
    }
}

/// Instances follow the numbers of announcements, so none may come twice; and what was announced is kept.
#[tokio::test]
async fn opening_the_kinds_keeps_announcements_and_their_numbers() {
    const INSERT: &str = "INSERT INTO revocations (kind, created_at, expires_at)
        SELECT 'keys_changed', created_at, created_at FROM installation RETURNING seq";
    const INSTALLATION: &str =
        "INSERT INTO installation (id, created_at, updated_at) VALUES (1, $1, $1)";
    for (fresh, emptied) in [
        (support::sqlite(), false),
        (support::sqlite(), true),
        (support::postgres().await, false),
        (support::postgres().await, true),
    ] {
        let store = fresh.connect().await;
        let all = store.db.migrations();
        schema::migrate_to(&store.db, &all[..5], ONCE)
            .await
            .unwrap();
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        store
            .db
            .write(INSTALLATION, vec![now.into()])
            .await
            .unwrap();
        let number = async || -> i64 {
            let rows = store.db.write(INSERT, vec![]).await.unwrap();
            rows[0].columns().take().unwrap()
        };
        assert_eq!((number().await, number().await), (1, 2));
        if emptied {
            store
                .db
                .write("DELETE FROM revocations", vec![])
                .await
                .unwrap();
        }
        assert_eq!(store.migrate().await.unwrap()[0], 6);
        assert_eq!(number().await, 3);
        let rows = store
            .db
            .read("SELECT seq FROM revocations", vec![])
            .await
            .unwrap();
        assert_eq!(rows.len(), if emptied { 1 } else { 3 });
        // What is known keeps its form.
        for wrong in [
            "INSERT INTO revocations (kind, created_at, expires_at) SELECT 'session', created_at, created_at FROM installation",
            "INSERT INTO revocations (kind, not_before, created_at, expires_at)
                SELECT 'keys_changed', created_at, created_at, created_at FROM installation",
        ] {
            assert!(store.db.write(wrong, vec![]).await.is_err(), "{wrong}");
        }
    }
}
