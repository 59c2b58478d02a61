//! What a migration would do, said before it does it.

use std::collections::BTreeSet;

use crate::ddl::{self, Lock, Mode, Step, Work};
use crate::driver::{Db, DbError};
use crate::migrations::Migration;
use crate::records;

/// A migration that has not been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMigration {
    /// Its place in the order.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// The oldest schema that running versions may know to go on beside it.
    pub serves: i64,
    /// Its statements, in order. They are one transaction.
    pub statements: Vec<PlannedStatement>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStatement {
    /// What will be executed.
    pub sql: &'static str,
    /// What it locks until the migration ends. None: all that it touches is new.
    pub locks: Vec<PlannedLock>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLock {
    /// The table; `None`: the statement is not understood, and may lock anything.
    pub table: Option<String>,
    /// How strong it is.
    pub mode: Mode,
    /// What takes longer the larger the table is.
    pub work: Work,
    /// How large it is now; `None`: it is not there yet.
    pub size: Option<TableSize>,
}

/// How large a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Bytes, indexes included.
    pub bytes: i64,
    /// Rows: counted on SQLite, PostgreSQL's estimate otherwise. `None`: it has none yet (`ANALYZE` makes one).
    pub rows: Option<i64>,
}

pub(super) async fn plan(
    db: &Db,
    pending: &'static [Migration],
) -> Result<Vec<PlannedMigration>, DbError> {
    let mut new = BTreeSet::new();
    let mut planned = Vec::new();
    for migration in pending {
        let mut statements = Vec::new();
        for statement in ddl::statements(migration.sql) {
            let mut locks = Vec::new();
            for step in ddl::steps(&statement.words) {
                for lock in ddl::locks(db.dialect().engine, &step, &new) {
                    locks.push(with_size(db, lock).await?);
                }
                if let Step::CreateTable { table, .. } = step {
                    new.insert(table);
                }
            }
            statements.push(PlannedStatement {
                sql: statement.text,
                locks: strongest(locks),
            });
        }
        planned.push(PlannedMigration {
            number: migration.number,
            name: migration.name,
            serves: migration.serves(),
            statements,
        });
    }
    Ok(planned)
}

/// Several steps of one statement lock a table once.
fn strongest(locks: Vec<PlannedLock>) -> Vec<PlannedLock> {
    let mut merged: Vec<PlannedLock> = Vec::new();
    for lock in locks {
        match merged.iter_mut().find(|one| one.table == lock.table) {
            Some(one) => {
                one.mode = one.mode.max(lock.mode);
                one.work = one.work.max(lock.work);
            }
            None => merged.push(lock),
        }
    }
    merged
}

async fn with_size(db: &Db, lock: Lock) -> Result<PlannedLock, DbError> {
    let mut size = None;
    if let Some(table) = &lock.table {
        let values = vec![table.as_str().into()];
        let rows = db.read(db.dialect().table_size, values).await?;
        let read = |row: &crate::driver::Row| {
            let mut columns = row.columns();
            let (bytes, rows) = (columns.take_opt()?, columns.take_opt()?);
            Ok(bytes.map(|bytes| TableSize { bytes, rows }))
        };
        size = records::first(&rows, read)?.flatten();
    }
    Ok(PlannedLock {
        table: lock.table,
        mode: lock.mode,
        work: lock.work,
        size,
    })
}
