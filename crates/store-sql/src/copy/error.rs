use countersign_store::StoreError;

use super::tables::Table;
use super::{TableReport, TableSum};
use crate::driver::DbError;
use crate::schema::SchemaError;

/// Why a copy did not come to its end. Each is one line, and none holds a password or a row.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It must not be done so; the line says what to do.
    #[error("{0}")]
    Refused(String),
    /// The target has acknowledged something that would be lost.
    #[error(
        "the target has been in use since: {0} events of its audit log, and what they tell of, would be lost; `--yes` does it \
         all the same"
    )]
    InUse(u64),
    /// Another run of the command goes on with it.
    #[error("another `countersign store copy` has taken over: let that one finish")]
    Overtaken,
    /// The source has changed in a way that was not noted.
    #[error("the schema of the source changed during the copy: run the same command again")]
    Unwatched,
    /// The two sides are not the same. The target is not taken for complete.
    #[error(
        "`{}` differs: {} rows with checksum {} in the source, {} with {} in the target; somebody else writes to the target, or \
         this is a fault of Countersign; the same command copies everything again",
        .0.table, .0.source_rows, .0.source_checksum, .0.target_rows, .0.target_checksum
    )]
    Differs(Box<TableReport>),
    /// A database could not do its work.
    #[error("the {0}: {1}")]
    Store(String, StoreError),
    /// A schema could not be read.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl CopyError {
    pub(super) fn source(error: DbError) -> Self {
        Self::Store("source".to_owned(), error.into())
    }

    pub(super) fn target(error: DbError) -> Self {
        Self::Store("target".to_owned(), error.into())
    }

    /// The same, with the table's name.
    pub(super) fn about(self, table: &Table) -> Self {
        match self {
            Self::Store(side, error) => Self::Store(format!("{side}'s `{}`", table.name), error),
            other => other,
        }
    }

    pub(super) fn differs(table: &Table, sums: (TableSum, TableSum)) -> Self {
        Self::Differs(Box::new(TableReport::of(table, sums)))
    }
}
