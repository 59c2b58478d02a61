//! The two drivers behind one door: connect, bind, run, read. Which engine answers is decided here
//! and nowhere else.

mod error;
mod postgres;
mod postgres_types;
mod row;
mod sqlite;
mod value;
mod wake;

use jiff::Timestamp;

use crate::ddl::Engine;
use crate::migrations::Migration;
use crate::store::{ConnectError, Database, PoolState, Pools};

pub(crate) use error::DbError;
pub(crate) use row::{Columns, Json, Names, Row};
pub(crate) use value::{List, Value, micros};
pub(crate) use wake::Woken;

/// What differs between the engines apart from types.
pub(crate) struct Dialect {
    pub(crate) engine: Engine,
    pub(crate) migrations: &'static [Migration],
    /// Answers one row where the table of applied migrations exists.
    pub(crate) has_ledger: &'static str,
    /// Makes that table.
    pub(crate) make_ledger: &'static str,
    /// The bytes of a table with its indexes, and its rows.
    pub(crate) table_size: &'static str,
    /// Writes the events of a JSON list; those that are there already are left as they are.
    pub(crate) append_events: &'static str,
    /// Gives the events of a JSON list their places, unless they have one.
    pub(crate) seal_events: &'static str,
    /// The salts of the users of a JSON list.
    pub(crate) audit_salts: &'static str,
}

/// An open database.
pub(crate) enum Db {
    Sqlite(sqlite::Pools),
    Postgres(Box<postgres::Postgres>),
}

impl Db {
    pub(crate) async fn connect(database: &Database, pools: Pools) -> Result<Self, ConnectError> {
        Ok(match database {
            Database::Sqlite(path) => Self::Sqlite(sqlite::Pools::open(path).await?),
            Database::SqliteInMemory => Self::Sqlite(sqlite::Pools::in_memory().await?),
            Database::Postgres(url) => {
                Self::Postgres(Box::new(postgres::Postgres::connect(url, pools).await?))
            }
        })
    }

    /// Runs a statement that changes nothing. Where the connection turns out to be dead, it is tried
    /// once more on another one.
    pub(crate) async fn read(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(db) => db.read(sql, values).await,
            Self::Postgres(db) => db.read(sql, values).await,
        }
    }

    /// [`Db::read`] that waits for no connection which a request may hold.
    pub(crate) async fn read_apart(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(db) => db.read(sql, values).await,
            Self::Postgres(db) => db.read_apart(sql, values).await,
        }
    }

    /// What a clock shows that all instances share. `None`: the database is a file, and has none.
    pub(crate) async fn time(&self) -> Result<Option<Timestamp>, DbError> {
        let Self::Postgres(db) = self else {
            return Ok(None);
        };
        let rows = db.read_apart("SELECT clock_timestamp()", vec![]).await?;
        let shown = rows.first().map(|row| row.columns().take());
        shown.transpose()
    }

    /// Runs one statement as a transaction of its own. After an error it may have happened or not.
    pub(crate) async fn write(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(db) => db.write(sql, values).await,
            Self::Postgres(db) => db.write(sql, values).await,
        }
    }

    /// Begins a transaction that may write. It is rolled back unless it is committed, also where
    /// the future that holds it is dropped.
    pub(crate) async fn begin(&self) -> Result<Tx, DbError> {
        Ok(match self {
            Self::Sqlite(db) => Tx::Sqlite(db.begin().await?),
            Self::Postgres(db) => Tx::Postgres(db.begin().await?),
        })
    }

    /// Begins a transaction that sees the database as it is at its first statement, and changes nothing.
    pub(crate) async fn begin_snapshot(&self) -> Result<Tx, DbError> {
        Ok(match self {
            Self::Sqlite(db) => Tx::Sqlite(db.begin_snapshot().await?),
            Self::Postgres(db) => Tx::Postgres(db.begin_snapshot().await?),
        })
    }

    /// Begins a transaction that no other process's migration runs beside, with time to spare.
    pub(crate) async fn begin_migration(&self) -> Result<Tx, DbError> {
        Ok(match self {
            Self::Sqlite(db) => Tx::Sqlite(db.begin().await?),
            Self::Postgres(db) => Tx::Postgres(db.begin_migration().await?),
        })
    }

    /// Has the engine check a statement without running it.
    #[cfg(test)]
    pub(crate) async fn prepare(&self, sql: &'static str) -> Result<(), DbError> {
        use sqlx::{Executor as _, SqlSafeStr as _};
        match self {
            Self::Sqlite(db) => {
                let prepared = db.writer.prepare(sql.into_sql_str()).await;
                prepared.map(drop).map_err(DbError::sqlite)
            }
            Self::Postgres(db) => {
                let prepared = db.pool.prepare(sql.into_sql_str()).await;
                prepared.map(drop).map_err(DbError::postgres)
            }
        }
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &sqlite::DIALECT,
            Self::Postgres(_) => &postgres::DIALECT,
        }
    }

    /// The migrations that this binary knows.
    pub(crate) fn migrations(&self) -> &'static [Migration] {
        #[cfg(feature = "rehearsal")]
        if let Some(of_next) = crate::rehearsal::migrations(self.dialect()) {
            return of_next;
        }
        self.dialect().migrations
    }

    /// Waits until others have announced something, as far as that is heard. On SQLite there are no others.
    pub(crate) async fn woken(&self) -> Woken<'_> {
        match self {
            Self::Sqlite(_) => std::future::pending().await,
            Self::Postgres(db) => db.woken().await,
        }
    }

    /// Whether that is heard; `None`: nobody waits for it. On SQLite nothing is missed.
    pub(crate) fn hears(&self) -> Option<bool> {
        match self {
            Self::Sqlite(_) => Some(true),
            Self::Postgres(db) => db.hears(),
        }
    }

    pub(crate) fn pool(&self) -> PoolState {
        match self {
            Self::Sqlite(db) => db.state(),
            Self::Postgres(db) => db.state(),
        }
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
            Self::Postgres(db) => db.close().await,
        }
    }
}

/// A transaction.
pub(crate) enum Tx {
    Sqlite(sqlite::Tx),
    Postgres(postgres::Tx),
}

impl Tx {
    pub(crate) async fn run(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(tx) => tx.run(sql, values).await,
            Self::Postgres(tx) => tx.run(sql, values).await,
        }
    }

    /// Runs a statement that returns no rows, and answers how many it changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(tx) => tx.execute(sql, values).await,
            Self::Postgres(tx) => tx.execute(sql, values).await,
        }
    }

    pub(crate) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &sqlite::DIALECT,
            Self::Postgres(_) => &postgres::DIALECT,
        }
    }

    /// Has others told, once this is committed, that something was announced.
    pub(crate) fn announces(&mut self) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(tx) => tx.announces(),
        }
    }

    /// Runs several statements without values.
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => tx.script(sql).await,
            Self::Postgres(tx) => tx.script(sql).await,
        }
    }

    /// Durable when it returns `Ok`. After an error it may have happened or not.
    pub(crate) async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }

    /// Undoes everything. Dropping does so too, but on PostgreSQL costs the connection.
    pub(crate) async fn rollback(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }
}

/// How a transaction is to end, and what to answer then.
pub(crate) enum Verdict<T> {
    /// Keep what was done.
    Commit(T),
    /// Nothing was to be done after all: undo it.
    Undo(T),
}

impl Tx {
    /// Ends the transaction as the verdict says.
    pub(crate) async fn settle<T>(self, verdict: Verdict<T>) -> Result<T, DbError> {
        match verdict {
            Verdict::Commit(answer) => self.commit().await.map(|()| answer),
            Verdict::Undo(answer) => self.rollback().await.map(|()| answer),
        }
    }
}
