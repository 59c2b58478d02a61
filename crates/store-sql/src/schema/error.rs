use countersign_store::StoreError;

use crate::driver::DbError;

/// Why a schema cannot be used or brought up to date. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer version of Countersign has migrated the database, and no longer serves this one.
    #[error(
        "upgrade this version of Countersign: it knows schema {binary}, and the database has schema {database}, which \
         serves versions that know schema {serves} and up"
    )]
    NotServed {
        /// The newest migration in the database.
        database: i64,
        /// The newest that this binary knows.
        binary: i64,
        /// The newest that a binary must know at least.
        serves: i64,
    },
    /// A migration was applied with another text than this binary has.
    #[error(
        "migration {number} was applied to the database with another text than this version has"
    )]
    Changed {
        /// Its number.
        number: i64,
    },
    /// A migration did not get its locks.
    #[error(
        "migration {number} `{name}` was given up and undone: others held what it has to lock in each of {tries} tries; \
         look for a transaction that stays open (on PostgreSQL: `pg_stat_activity`), then run `countersign migrate` again"
    )]
    Locked {
        /// Its number.
        number: i64,
        /// Its name.
        name: &'static str,
        /// How often it was tried.
        tries: u32,
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
