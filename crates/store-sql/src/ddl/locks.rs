//! What a statement locks, and for how much work.
//!
//! PostgreSQL: chapter 13.3 of its manual, and the pages of `ALTER TABLE`, `CREATE TABLE` and `CREATE INDEX`. Modes that
//! hold up nobody but another migration's strongest (`ACCESS SHARE`, `ROW SHARE`) are left out. SQLite has one lock for
//! writing, of the whole file.

use std::collections::BTreeSet;

use super::{Change, Column, DefaultValue, Step};

/// Which engine's rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// One lock, held until the migration ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    /// `None`: every table there is.
    pub(crate) table: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) work: Work,
}

/// How strong a lock is, from the weakest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Of a PostgreSQL table: holds up who changes the same rows.
    RowExclusive,
    /// Of a PostgreSQL table: holds up other migrations and `VACUUM`.
    ShareUpdateExclusive,
    /// Of a PostgreSQL table: holds up writing.
    Share,
    /// Of a PostgreSQL table: holds up writing.
    ShareRowExclusive,
    /// Of a PostgreSQL table: holds up reading and writing.
    AccessExclusive,
    /// Of a SQLite file: holds up writing, of every table.
    File,
}

impl Mode {
    /// Its name in the engine's manual.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
            Self::File => "the whole file",
        }
    }

    /// Whether nobody reads the table meanwhile.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }

    /// Whether nobody writes it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }
}

/// What takes longer the more there is in the table, from the quickest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A moment, however large the table is.
    Moment,
    /// As many rows as the statement touches.
    Rows,
    /// The whole table is read.
    Scan,
    /// The whole table is written anew, with its indexes.
    Rewrite,
    /// Nobody knows.
    Unknown,
}

impl Work {
    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Moment => "moment",
            Self::Rows => "rows",
            Self::Scan => "scan",
            Self::Rewrite => "rewrite",
            Self::Unknown => "unknown",
        }
    }
}

/// What a step locks of tables that are not among the `new` ones, which nobody else sees yet.
pub(crate) fn locks(engine: Engine, step: &Step, new: &BTreeSet<String>) -> Vec<Lock> {
    let all = match engine {
        Engine::Sqlite => vec![sqlite(step)],
        Engine::Postgres => postgres(step),
    };
    let is_new = |lock: &Lock| lock.table.as_ref().is_some_and(|table| new.contains(table));
    all.into_iter()
        .filter(|lock| engine == Engine::Sqlite || !is_new(lock))
        .map(|lock| match is_new(&lock) {
            // It is empty, or was filled by this migration.
            true => Lock {
                work: Work::Moment,
                ..lock
            },
            false => lock,
        })
        .collect()
}

fn sqlite(step: &Step) -> Lock {
    let (table, work) = match step {
        Step::CreateTable { table, .. } => (Some(table), Work::Moment),
        Step::CreateIndex { table, .. } => (Some(table), Work::Scan),
        // Its pages are overwritten.
        Step::DropTable(table) => (Some(table), Work::Rewrite),
        Step::Write(table) => (Some(table), Work::Rows),
        Step::Alter { table, change } => match change {
            Change::AddColumn(column) if column.check || column.not_null => {
                (Some(table), Work::Scan)
            }
            Change::AddColumn(_) | Change::Rename => (Some(table), Work::Moment),
            Change::DropColumn => (Some(table), Work::Rewrite),
            _ => (Some(table), Work::Unknown),
        },
        Step::Unknown => (None, Work::Unknown),
    };
    Lock {
        table: table.cloned(),
        mode: Mode::File,
        work,
    }
}

fn postgres(step: &Step) -> Vec<Lock> {
    let lock = |table: &String, mode, work| Lock {
        table: Some(table.clone()),
        mode,
        work,
    };
    match step {
        Step::CreateTable { references, .. } => references
            .iter()
            .map(|to| lock(&to.table, Mode::ShareRowExclusive, Work::Moment))
            .collect(),
        Step::CreateIndex { table, .. } => vec![lock(table, Mode::Share, Work::Scan)],
        Step::DropTable(table) => vec![lock(table, Mode::AccessExclusive, Work::Moment)],
        Step::Write(table) => vec![lock(table, Mode::RowExclusive, Work::Rows)],
        Step::Alter { table, change } => {
            let (mode, work) = of_change(change);
            let mut locks = vec![lock(table, mode, work)];
            match change {
                Change::AddColumn(Column {
                    reference: Some(to),
                    ..
                }) => {
                    locks.push(lock(&to.table, Mode::ShareRowExclusive, Work::Moment));
                }
                Change::AddForeignKey { reference, .. } => {
                    locks.push(lock(&reference.table, Mode::ShareRowExclusive, work));
                }
                _ => {}
            }
            locks
        }
        Step::Unknown => vec![Lock {
            table: None,
            mode: Mode::AccessExclusive,
            work: Work::Unknown,
        }],
    }
}

fn of_change(change: &Change) -> (Mode, Work) {
    let scan = |validated: &bool| if *validated { Work::Scan } else { Work::Moment };
    match change {
        Change::AddColumn(column) => (Mode::AccessExclusive, of_column(column)),
        Change::DropColumn
        | Change::DropConstraint
        | Change::Rename
        | Change::DropNotNull
        | Change::Default => (Mode::AccessExclusive, Work::Moment),
        Change::Type => (Mode::AccessExclusive, Work::Rewrite),
        Change::SetNotNull | Change::AddUnique => (Mode::AccessExclusive, Work::Scan),
        Change::AddCheck { validated } => (Mode::AccessExclusive, scan(validated)),
        Change::AddForeignKey { validated, .. } => (Mode::ShareRowExclusive, scan(validated)),
        Change::Validate => (Mode::ShareUpdateExclusive, Work::Scan),
    }
}

/// A default that is the same for all rows is written down once.
fn of_column(column: &Column) -> Work {
    match column.default {
        DefaultValue::Computed => Work::Rewrite,
        _ if column.unique || column.check => Work::Scan,
        DefaultValue::None if column.not_null => Work::Scan,
        _ => Work::Moment,
    }
}
