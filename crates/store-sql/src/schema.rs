//! Which migrations a database has, and applying those that it lacks.

use countersign_store::StoreError;

use crate::driver::{Db, DbError, Row, Tx};
use crate::migrations::Migration;
use crate::{records, statements};

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
}

/// Why a schema cannot be used or brought up to date. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of Countersign has migrated the database.
    #[error(
        "the database has schema {database}, this version of Countersign knows only up to \
         {binary}: use the newer version again, or restore a backup"
    )]
    Newer {
        /// The newest migration in the database.
        database: i64,
        /// The newest that this binary knows.
        binary: i64,
    },
    /// A migration was applied with another text than this binary has.
    #[error(
        "migration {number} was applied to the database with another text than this version has"
    )]
    Changed {
        /// Its number.
        number: i64,
    },
    /// A migration failed and was undone.
    #[error(
        "migration {number} `{name}` failed and was undone: {reason}; the database must be \
         Countersign's own, without tables of others"
    )]
    Failed {
        /// Its number.
        number: i64,
        /// Its name.
        name: &'static str,
        /// What the database says.
        reason: String,
    },
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<DbError> for SchemaError {
    fn from(error: DbError) -> Self {
        Self::Store(error.into())
    }
}

/// A migration that has not been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMigration {
    /// Its place in the order.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// What it locks while it runs.
    pub locks: &'static str,
    /// What will be executed.
    pub sql: &'static str,
}

pub(crate) async fn state(db: &Db) -> Result<SchemaState, SchemaError> {
    Ok(match pending(db, db.dialect().migrations).await?.len() {
        0 => SchemaState::Current,
        pending => SchemaState::Behind { pending },
    })
}

pub(crate) async fn plan(db: &Db) -> Result<Vec<PlannedMigration>, SchemaError> {
    let pending = pending(db, db.dialect().migrations).await?;
    let planned = pending.iter().map(|migration| PlannedMigration {
        number: migration.number,
        name: migration.name,
        locks: migration.locks(),
        sql: migration.sql,
    });
    Ok(planned.collect())
}

pub(crate) async fn migrate(db: &Db) -> Result<Vec<i64>, SchemaError> {
    migrate_to(db, db.dialect().migrations).await
}

/// Takes the lock anew for each migration, so that processes that start together share the work
/// and none waits for longer than one migration takes.
pub(crate) async fn migrate_to(db: &Db, known: &[Migration]) -> Result<Vec<i64>, SchemaError> {
    let mut done = Vec::new();
    while !pending(db, known).await?.is_empty() {
        let mut tx = db.begin_migration().await?;
        match next(&mut tx, db, known).await {
            Ok(Some(number)) => {
                tx.commit().await?;
                tracing::info!(number, "applied a migration");
                done.push(number);
            }
            // Another process was quicker.
            Ok(None) => tx.rollback().await?,
            Err(error) => {
                tx.rollback().await?;
                return Err(error);
            }
        }
    }
    Ok(done)
}

/// Applies the first missing migration, if one is still missing now that the lock is held.
async fn next(tx: &mut Tx, db: &Db, known: &[Migration]) -> Result<Option<i64>, SchemaError> {
    tx.script(db.dialect().make_ledger).await?;
    let applied = tx.run(statements::MIGRATIONS_APPLIED, vec![]).await?;
    let Some(migration) = missing(&applied, known)?.first() else {
        return Ok(None);
    };
    let note = vec![
        migration.number.into(),
        migration.name.into(),
        migration.sql.into(),
    ];
    let failed = |error: DbError| SchemaError::Failed {
        number: migration.number,
        name: migration.name,
        reason: StoreError::from(error).to_string(),
    };
    tx.script(migration.sql).await.map_err(failed)?;
    tx.run(statements::MIGRATION_NOTE, note).await?;
    Ok(Some(migration.number))
}

async fn pending<'m>(db: &Db, known: &'m [Migration]) -> Result<&'m [Migration], SchemaError> {
    if db.read(db.dialect().has_ledger, vec![]).await?.is_empty() {
        return Ok(known);
    }
    let applied = db.read(statements::MIGRATIONS_APPLIED, vec![]).await?;
    missing(&applied, known)
}

/// The tail of `known` that `applied` lacks.
fn missing<'m>(applied: &[Row], known: &'m [Migration]) -> Result<&'m [Migration], SchemaError> {
    let applied = records::all(applied, |row| {
        let mut columns = row.columns();
        Ok((
            columns.take::<i64>()?,
            columns.take::<String>()?,
            columns.take::<String>()?,
        ))
    })?;
    for (place, (number, _, sql)) in applied.iter().enumerate() {
        match known.get(place) {
            None => {
                return Err(SchemaError::Newer {
                    database: applied.last().map_or(*number, |last| last.0),
                    binary: known.last().map_or(0, |last| last.number),
                });
            }
            Some(known) if known.number != *number || known.sql != sql => {
                return Err(SchemaError::Changed { number: *number });
            }
            Some(_) => {}
        }
    }
    Ok(known.get(applied.len()..).unwrap_or_default())
}
