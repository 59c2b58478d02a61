//! Which migrations a database has, and applying those that it lacks.

mod error;
mod plan;

use std::time::Duration;

use countersign_store::StoreError;

use crate::driver::{Db, DbError, Row, Tx};
use crate::migrations::{Migration, serves};
use crate::{ddl, records, statements};

pub use error::SchemaError;
pub use plan::{PlannedLock, PlannedMigration, PlannedStatement, TableSize};

/// How a database's schema stands against this binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// They fit.
    Current,
    /// Migrations are missing.
    Behind {
        /// How many.
        pending: usize,
    },
    /// A newer version has migrated the database, and serves this one still.
    Ahead {
        /// The newest migration in the database.
        database: i64,
        /// The newest that this binary knows.
        binary: i64,
    },
}

/// How long to try to get a migration's locks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Persistence {
    pub(crate) tries: u32,
    /// Before the second try; twice as long before each further one, up to eight times.
    pub(crate) pause: Duration,
}

/// Two minutes or so. On PostgreSQL each try waits for two seconds, during which all who want the table wait behind it: less
/// than a request may wait for a lock.
const PERSISTENCE: Persistence = Persistence {
    tries: 20,
    pause: Duration::from_millis(500),
};

pub(crate) async fn state(db: &Db) -> Result<SchemaState, SchemaError> {
    state_by(db, db.migrations()).await
}

pub(crate) async fn state_by(db: &Db, known: &[Migration]) -> Result<SchemaState, SchemaError> {
    Ok(match standing(db, known).await? {
        Standing::Lacks([]) => SchemaState::Current,
        Standing::Lacks(pending) => SchemaState::Behind {
            pending: pending.len(),
        },
        Standing::Ahead { database, binary } => SchemaState::Ahead { database, binary },
    })
}

pub(crate) async fn plan(db: &Db) -> Result<Vec<PlannedMigration>, SchemaError> {
    Ok(match standing(db, db.migrations()).await? {
        Standing::Lacks(pending) => plan::plan(db, pending).await?,
        Standing::Ahead { .. } => Vec::new(),
    })
}

pub(crate) async fn migrate(db: &Db) -> Result<Vec<i64>, SchemaError> {
    migrate_to(db, db.migrations(), PERSISTENCE).await
}

/// Takes the lock anew for each migration, so that processes that start together share the work
/// and none waits for longer than one migration takes.
pub(crate) async fn migrate_to(
    db: &Db,
    known: &[Migration],
    persistence: Persistence,
) -> Result<Vec<i64>, SchemaError> {
    let mut done = Vec::new();
    let mut tries = 0;
    while let Standing::Lacks([first, ..]) = standing(db, known).await? {
        tries += 1;
        match try_next(db, known).await {
            Ok(applied) => {
                tries = 0;
                done.extend(applied);
            }
            Err(Stopped::Locked) if tries < persistence.tries => {
                let (number, name) = (first.number, first.name);
                tracing::warn!(
                    number,
                    name,
                    "others hold what the migration has to lock; it is tried again"
                );
                tokio::time::sleep(persistence.pause * (1 << tries.min(4)) / 2).await;
            }
            Err(Stopped::Locked) => {
                return Err(SchemaError::Locked {
                    number: first.number,
                    name: first.name,
                    tries,
                });
            }
            Err(Stopped::Failed(error)) => return Err(error),
        }
    }
    Ok(done)
}

/// Why a migration was not applied.
enum Stopped {
    /// Somebody held a lock that it needs.
    Locked,
    Failed(SchemaError),
}

impl From<DbError> for Stopped {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Locked(_) => Self::Locked,
            error => Self::Failed(error.into()),
        }
    }
}

/// Applies the first missing migration. `None`: another process was quicker.
async fn try_next(db: &Db, known: &[Migration]) -> Result<Option<i64>, Stopped> {
    let mut tx = db.begin_migration().await?;
    match next(&mut tx, db, known).await {
        Ok(Some(number)) => {
            tx.commit().await?;
            tracing::info!(number, "applied a migration");
            Ok(Some(number))
        }
        Ok(None) => {
            tx.rollback().await?;
            Ok(None)
        }
        Err(stopped) => {
            tx.rollback().await?;
            Err(stopped)
        }
    }
}

/// Applies the first missing migration, if one is still missing now that the lock is held.
async fn next(tx: &mut Tx, db: &Db, known: &[Migration]) -> Result<Option<i64>, Stopped> {
    tx.script(db.dialect().make_ledger).await?;
    let applied = tx.run(statements::MIGRATIONS_APPLIED, vec![]).await?;
    let standing = compare(&applied, known).map_err(Stopped::Failed)?;
    let Standing::Lacks([migration, ..]) = standing else {
        return Ok(None);
    };
    let note = vec![
        migration.number.into(),
        migration.name.into(),
        migration.sql.into(),
    ];
    let failed = |error: DbError| match error {
        DbError::Locked(_) => Stopped::Locked,
        error => Stopped::Failed(SchemaError::Failed {
            number: migration.number,
            name: migration.name,
            reason: StoreError::from(error).to_string(),
        }),
    };
    tx.script(migration.sql).await.map_err(failed)?;
    tx.run(statements::MIGRATION_NOTE, note).await?;
    Ok(Some(migration.number))
}

/// How a database stands that this binary can work with, once the rest is applied.
enum Standing<'m> {
    /// It lacks these.
    Lacks(&'m [Migration]),
    /// It has more than this binary knows, which is served still.
    Ahead { database: i64, binary: i64 },
}

async fn standing<'m>(db: &Db, known: &'m [Migration]) -> Result<Standing<'m>, SchemaError> {
    // A server asks again and again whether it is still served, also while all its requests wait.
    if db
        .read_apart(db.dialect().has_ledger, vec![])
        .await?
        .is_empty()
    {
        return Ok(Standing::Lacks(known));
    }
    let applied = db
        .read_apart(statements::MIGRATIONS_APPLIED, vec![])
        .await?;
    compare(&applied, known)
}

fn compare<'m>(applied: &[Row], known: &'m [Migration]) -> Result<Standing<'m>, SchemaError> {
    let applied = records::all(applied, |row| {
        let mut columns = row.columns();
        Ok((
            columns.take::<i64>()?,
            columns.take::<String>()?,
            columns.take::<String>()?,
        ))
    })?;
    for ((number, _, sql), known) in applied.iter().zip(known) {
        if known.number != *number || !ddl::do_the_same(known.sql, sql) {
            return Err(SchemaError::Changed { number: *number });
        }
    }
    let unknown = applied.get(known.len()..).unwrap_or_default();
    let Some((database, _, _)) = unknown.last() else {
        let lacks = known.get(applied.len()..).unwrap_or_default();
        return Ok(Standing::Lacks(lacks));
    };
    let binary = known.last().map_or(0, |last| last.number);
    // One that does not say whom it serves serves those who know it.
    let serves = unknown
        .iter()
        .map(|(number, _, sql)| serves(sql).unwrap_or(*number));
    let serves = serves.max().unwrap_or_default();
    let database = *database;
    match serves <= binary {
        true => Ok(Standing::Ahead { database, binary }),
        false => Err(SchemaError::NotServed {
            database,
            binary,
            serves,
        }),
    }
}
