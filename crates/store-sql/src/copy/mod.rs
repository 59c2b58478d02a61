//! Moving an installation from SQLite to PostgreSQL while it is served.
//!
//! 1. Triggers note what changes (`source.rs`). Every table is gone through in the order of its key, a thousand rows at a
//!    time, and with each of these steps come the rows that were noted before it (`run.rs`).
//! 2. Both sides are read as a whole and compared, still while the source is served: it is read as of one moment, and the
//!    target is brought to the same. The checksums (`sum.rs`) are kept up with what changes afterwards, so that this is done
//!    once.
//! 3. The source closes for a second or two. Under its write lock the last changes come over, the checksums are compared
//!    again, and everything that writes to the source is refused from the commit on. Then the target may be served.
//!
//! What is done for how long nobody is served is thus as much as changes within seconds, however large the whole is.
//! Whatever is killed at whatever moment, either the source may be served, or the target, or the same command finishes it.

mod cell;
mod error;
mod plan;
mod reopen;
mod run;
mod source;
mod sum;
mod tables;
mod target;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use error::CopyError;
pub use plan::{CopyPlan, PlannedTable};
pub use reopen::Reopened;

use crate::SqlStore;
use cell::Record;
use source::Source;
use sum::TableSum;
use tables::Table;
use target::Target;

/// Random ids of one run of the command.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    /// Of the copy, if this run begins one.
    pub copy: Uuid,
    /// Of the run.
    pub run: Uuid,
}

/// A copy from one store to another. Both have the schema of this version.
pub struct StoreCopy<'a> {
    /// What is left: SQLite.
    pub from: &'a SqlStore,
    /// What is moved to: PostgreSQL.
    pub to: &'a SqlStore,
    /// What `from` is called, without anything secret. It is kept in the other.
    pub from_name: &'a str,
    /// What `to` is called.
    pub to_name: &'a str,
    /// Random ids.
    pub ids: Ids,
    /// The clock of this machine, which is the source's.
    pub now: &'a dyn Fn() -> Timestamp,
}

impl StoreCopy<'_> {
    fn source(&self) -> Source<'_> {
        Source {
            db: &self.from.db,
            holder: self.ids.run,
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            db: &self.to.db,
            holder: self.ids.run,
        }
    }
}

/// What a copy is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Begins, on an empty target.
    Begun,
    /// Goes on where another run stopped.
    Resumed,
    /// What was copied is given up, and everything copied again.
    BegunAnew,
    /// A table was gone through once, or more of it was.
    Table {
        /// Which.
        name: &'static str,
        /// How many rows of it this run has copied.
        rows: u64,
    },
    /// Both sides are read and compared, while the source is served.
    Comparing,
    /// The source answers nothing any more.
    Closing,
    /// Nobody can write to the source.
    Locked,
}

/// A table as it was found in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// How many rows the source has.
    pub source_rows: u64,
    /// The checksum of the source's rows.
    pub source_checksum: String,
    /// How many rows the target has.
    pub target_rows: u64,
    /// The checksum of the target's rows.
    pub target_checksum: String,
}

impl TableReport {
    fn of(table: &Table, (source, target): (TableSum, TableSum)) -> Self {
        Self {
            table: table.name.to_owned(),
            source_rows: source.rows,
            source_checksum: source.to_string(),
            target_rows: target.rows,
            target_checksum: target.to_string(),
        }
    }
}

/// A copy that is complete.
#[derive(Clone, Debug)]
pub struct Copied {
    /// What each table holds, on both sides.
    pub tables: Vec<TableReport>,
    /// How it came to be so.
    pub finish: Finish,
}

/// How a copy came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// This run moved the installation.
    Moved {
        /// For how long nothing was acknowledged by anybody.
        closed: Duration,
        /// For how long of it the source was locked.
        locked: Duration,
    },
    /// An earlier run had moved it, and was killed before it said so to the target.
    Finished,
    /// It was complete already.
    Already,
}

fn sum_of(table: &Table, rows: &[Record]) -> TableSum {
    let mut sum = TableSum::default();
    rows.iter().for_each(|row| sum.add(row.digest(table)));
    sum
}
