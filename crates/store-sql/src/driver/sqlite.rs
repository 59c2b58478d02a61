use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::time::Duration;

use sqlx::query::Query;
use sqlx::sqlite::{
    Sqlite as Driver, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Executor, Transaction};

use super::{DbError, Dialect, Row, Value};
use crate::ddl::Engine;
use crate::migrations;
use crate::store::{ConnectError, PoolState};

pub(super) const DIALECT: Dialect = Dialect {
    engine: Engine::Sqlite,
    migrations: migrations::SQLITE,
    has_ledger: "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
    make_ledger: "CREATE TABLE IF NOT EXISTS schema_migrations (
        number INTEGER NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        sql TEXT NOT NULL,
        applied_at INTEGER NOT NULL DEFAULT (CAST(unixepoch('subsec') * 1000000 AS INTEGER))
    ) STRICT",
    table_size:
        "SELECT sum(pgsize), sum(iif(name = $1 AND pagetype = 'leaf', ncell, 0)) FROM dbstat
        WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = $1)",
    append_events: "INSERT INTO audit_events (id, at, kind, outcome, reason, by, user_id, \
        session_id, details, personal, address_tag, mac) \
        SELECT unhex(value ->> 'id'), value ->> 'at', value ->> 'kind', value ->> 'outcome', \
            value ->> 'reason', value ->> 'by', unhex(value ->> 'user'), unhex(value ->> 'session'), \
            value ->> 'details', unhex(value ->> 'personal'), unhex(value ->> 'address'), \
            unhex(value ->> 'mac') \
        FROM json_each($1) WHERE true ON CONFLICT (id) DO NOTHING",
    seal_events: "UPDATE audit_events SET position = link.value ->> 'position', \
            hash = unhex(link.value ->> 'hash') \
        FROM json_each($1) AS link \
        WHERE audit_events.id = unhex(link.value ->> 'id') AND audit_events.position IS NULL",
    audit_salts: "SELECT id, audit_salt FROM users WHERE audit_salt IS NOT NULL \
        AND id IN (SELECT unhex(value) FROM json_each($1))",
};

/// How long to wait for another process's write.
const BUSY: Duration = Duration::from_secs(3);
/// How long to wait for a turn at one of this process's connections. Together with the above it is what
/// a request may take at most.
const TURN: Duration = Duration::from_secs(4);
const READERS: u32 = 4;
/// Takes the write lock at once. A transaction that began by reading could not wait for it.
const BEGIN: &str = "BEGIN IMMEDIATE";
/// Other processes that open a new file at the same moment make the change to WAL fail at once,
/// without SQLite's own waiting.
const OPEN_TRIES: u32 = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// One connection that writes, and some that only read. SQLite has one writer at a time anyway;
/// queueing here is fair, where SQLite's own waiting is by chance.
pub(crate) struct Pools {
    pub(super) writer: SqlitePool,
    reader: SqlitePool,
}

impl Pools {
    /// Opens the file, and makes it, readable by its owner only, if there is none.
    pub(super) async fn open(path: &Path) -> Result<Self, ConnectError> {
        let fault = |reason: String| ConnectError::File {
            path: path.to_owned(),
            reason,
        };
        create(path).map_err(|error| fault(error.to_string()))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut loses nothing that was acknowledged.
            .synchronous(SqliteSynchronous::Full)
            // What was deleted is overwritten, not only unlinked: a deleted user's address must not
            // stay in a free page.
            .pragma("secure_delete", "ON")
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = writer(options.clone()).await.map_err(fault)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(BUSY);
        let reader = pool(READERS).connect_lazy_with(options);
        Ok(Self { writer, reader })
    }

    /// A database that lives as long as its only connection.
    pub(super) async fn in_memory() -> Result<Self, ConnectError> {
        let options = SqliteConnectOptions::new()
            .in_memory(true)
            .foreign_keys(true);
        let fault = |reason: String| ConnectError::File {
            path: ":memory:".into(),
            reason,
        };
        let writer = writer(options).await.map_err(fault)?;
        Ok(Self {
            reader: writer.clone(),
            writer,
        })
    }

    pub(super) async fn read(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        fetch(&self.reader, sql, values).await
    }

    pub(super) async fn write(
        &self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        fetch(&self.writer, sql, values).await
    }

    pub(super) async fn begin(&self) -> Result<Tx, DbError> {
        let tx = self.writer.begin_with(BEGIN).await;
        tx.map(Tx).map_err(DbError::sqlite)
    }

    pub(super) async fn begin_snapshot(&self) -> Result<Tx, DbError> {
        let tx = self.reader.begin().await;
        tx.map(Tx).map_err(DbError::sqlite)
    }

    pub(super) fn state(&self) -> PoolState {
        let idle = self.writer.num_idle() + self.reader.num_idle();
        PoolState {
            size: self.writer.size() + self.reader.size(),
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
        }
    }

    pub(super) async fn close(&self) {
        self.reader.close().await;
        // Last, so that its connection writes the WAL back into the file.
        self.writer.close().await;
    }
}

/// A transaction. The driver's worker thread rolls it back when it is dropped before its end.
pub(crate) struct Tx(Transaction<'static, Driver>);

impl Tx {
    pub(super) async fn run(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, DbError> {
        fetch(&mut *self.0, sql, values).await
    }

    pub(super) async fn execute(
        &mut self,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<u64, DbError> {
        let query = values.into_iter().fold(sqlx::query(sql), bind);
        let done = query.execute(&mut *self.0).await;
        done.map(|done| done.rows_affected())
            .map_err(DbError::sqlite)
    }

    pub(super) async fn script(&mut self, sql: &'static str) -> Result<(), DbError> {
        let done = sqlx::raw_sql(sql).execute(&mut *self.0).await;
        done.map(drop).map_err(DbError::sqlite)
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        self.0.commit().await.map_err(DbError::sqlite)
    }

    pub(super) async fn rollback(self) -> Result<(), DbError> {
        self.0.rollback().await.map_err(DbError::sqlite)
    }
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(TURN)
        .test_before_acquire(false)
        // There is no server that could grow tired of them.
        .idle_timeout(None)
        .max_lifetime(None)
}

/// The writing connection, once it has shown that it can write.
async fn writer(options: SqliteConnectOptions) -> Result<SqlitePool, String> {
    let mut tries = 0;
    loop {
        tries += 1;
        match try_writer(options.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if is_busy(&error) && tries < OPEN_TRIES => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn try_writer(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let writer = pool(1).min_connections(1).connect_with(options).await?;
    // A file that may only be read opens well and fails here.
    writer.begin_with(BEGIN).await?.rollback().await?;
    Ok(writer)
}

fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i64 = 5;
    let code = error.as_database_error().and_then(|error| error.code());
    let code = code.and_then(|code| code.parse::<i64>().ok());
    code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// Makes an empty file that only its owner may read, whatever the process's umask says. SQLite
/// gives its side files the same mode.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

async fn fetch<'e, E>(
    executor: E,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Vec<Row>, DbError>
where
    E: Executor<'e, Database = Driver>,
{
    let query = values.into_iter().fold(sqlx::query(sql), bind);
    let rows = query.fetch_all(executor).await.map_err(DbError::sqlite)?;
    Ok(rows.into_iter().map(Row::Sqlite).collect())
}

fn bind(
    query: Query<'static, Driver, SqliteArguments>,
    value: Value,
) -> Query<'static, Driver, SqliteArguments> {
    match value {
        Value::Uuid(id) => query.bind(id),
        Value::OptUuid(id) => query.bind(id),
        Value::Text(text) | Value::Json(text) => query.bind(text),
        Value::OptText(text) | Value::OptJson(text) => query.bind(text),
        Value::Time(time) => query.bind(time.as_microsecond()),
        Value::OptTime(time) => query.bind(time.map(|time| time.as_microsecond())),
        Value::Int(number) => query.bind(number),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::OptBytes(bytes) => query.bind(bytes),
        Value::List(list) => query.bind(list.to_json()),
    }
}
