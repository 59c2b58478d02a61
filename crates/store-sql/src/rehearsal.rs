//! What a next version could do, for the tests of upgrades: a migration that serves this one, and a kind of announcement
//! that this one does not know.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign_store::Act;
use uuid::Uuid;

use crate::driver::{DbError, Dialect, Tx};
use crate::migrations::Migration;
use crate::statements;

static BEGUN: AtomicBool = AtomicBool::new(false);

/// From now on this process is of the next version.
pub fn begin() {
    BEGUN.store(true, Ordering::Release);
}

fn has_begun() -> bool {
    BEGUN.load(Ordering::Acquire)
}

const NEXT: &str = "-- tells: rehearsed
CREATE TABLE rehearsals (event UUID PRIMARY KEY, user_id UUID REFERENCES users (id) ON DELETE CASCADE);
ALTER TABLE sessions ADD COLUMN rehearsed BIGINT NOT NULL DEFAULT 7;
ALTER TABLE users ADD COLUMN rehearsed TEXT;
CREATE INDEX sessions_rehearsed ON sessions (rehearsed, user_id)";
const NEXT_ON_SQLITE: &str = "-- tells: rehearsed
CREATE TABLE rehearsals (event BLOB NOT NULL PRIMARY KEY, user_id BLOB REFERENCES users (id) ON DELETE CASCADE) STRICT;
ALTER TABLE sessions ADD COLUMN rehearsed INTEGER NOT NULL DEFAULT 7;
ALTER TABLE users ADD COLUMN rehearsed TEXT;
CREATE INDEX sessions_rehearsed ON sessions (rehearsed, user_id)";

/// The migrations of the next version; `None`: this process is of this version.
pub(crate) fn migrations(dialect: &Dialect) -> Option<&'static [Migration]> {
    static ON_SQLITE: OnceLock<Vec<Migration>> = OnceLock::new();
    static ON_POSTGRES: OnceLock<Vec<Migration>> = OnceLock::new();
    has_begun()
        .then(|| match dialect.engine {
            crate::ddl::Engine::Sqlite => {
                ON_SQLITE.get_or_init(|| and_next(dialect, NEXT_ON_SQLITE))
            }
            crate::ddl::Engine::Postgres => ON_POSTGRES.get_or_init(|| and_next(dialect, NEXT)),
        })
        .map(Vec::as_slice)
}

fn and_next(dialect: &Dialect, sql: &str) -> Vec<Migration> {
    let mut all = dialect.migrations.to_vec();
    all.push(next(all.last().map_or(0, |last| last.number), sql));
    all
}

/// The migration that follows `newest`, which it serves. The texts that it leaves are never freed: there is one.
fn next(newest: i64, sql: &str) -> Migration {
    let number = newest + 1;
    Migration {
        number,
        name: format!("{number:04}_rehearsal").leak(),
        sql: format!("-- serves: {newest}\n{sql}").leak(),
    }
}

/// Announces, besides what is announced, what this version does not know.
pub(crate) async fn announce(tx: &mut Tx, act: &Act) -> Result<(), DbError> {
    const NOTE: &str = "INSERT INTO rehearsals (event) VALUES ($1) ON CONFLICT (event) DO NOTHING";
    if !has_begun() {
        return Ok(());
    }
    let values = vec![
        "rehearsed".into(),
        None::<Uuid>.into(),
        None::<jiff::Timestamp>.into(),
        act.now.into(),
        act.tokens_until.into(),
        act.event().0.into(),
    ];
    tx.run(statements::ANNOUNCE, values).await?;
    tx.execute(NOTE, vec![act.event().0.into()]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration_tests::wrong;
    use crate::migrations::{POSTGRES, SQLITE};

    /// It must be one that the rules let through.
    #[test]
    fn rehearsal_keeps_the_rules() {
        for (known, sql) in [(SQLITE, NEXT_ON_SQLITE), (POSTGRES, NEXT)] {
            let newest = known.last().unwrap().number;
            assert_eq!(wrong(&[next(newest, sql)]), [""; 0]);
        }
    }
}
