use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use countersign_store::{Closed, Store, StoreError};
use jiff::Timestamp;

use crate::cursor::Cursor;
use crate::driver::{Db, Row, Value};
use crate::figures::Figures;
use crate::moves::Found;
use crate::schema::{self, PlannedMigration, SchemaError, SchemaState};
use crate::{records, statements};

/// Where the data lives.
#[derive(Clone)]
pub enum Database {
    /// A SQLite file. It is made if there is none; its folder must be there.
    Sqlite(PathBuf),
    /// A SQLite database in memory, gone with the last clone of the store. For tests.
    SqliteInMemory,
    /// The URL of a PostgreSQL database (`postgres://user:password@host:port/name?sslmode=…`).
    Postgres(String),
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::SqliteInMemory => f.write_str("SqliteInMemory"),
            // The URL contains the password.
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

/// How many connections to hold.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// At most so many connections to PostgreSQL, three at least. One is for the announcements, and one listens for news
    /// once [`countersign_store::Announcements::news`] is asked for. SQLite always has one that writes and four that read.
    pub max_connections: u32,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            max_connections: 10,
        }
    }
}

/// The connections at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolState {
    /// How many are open.
    pub size: u32,
    /// How many of them nobody uses.
    pub idle: u32,
}

/// Why a database cannot be used. Each is one line for the operator; none contains a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is malformed.
    #[error("the database URL cannot be read: {0}")]
    Url(String),
    /// The file cannot be made, opened or written.
    #[error("the SQLite file `{}` cannot be used: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system says.
        reason: String,
    },
    /// The server does not answer, or refuses.
    #[error("PostgreSQL at `{0}` cannot be used: {1}")]
    Unreachable(String, String),
    /// The schema does not fit this binary.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// A store on SQLite or PostgreSQL. Clones share their connections.
#[derive(Clone)]
pub struct SqlStore {
    pub(crate) db: Arc<Db>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) found: Arc<Found>,
    cursor: Arc<Mutex<Cursor>>,
}

impl SqlStore {
    /// Opens the database. The schema may still be missing or behind (see [`SqlStore::migrate`]), or newer;
    /// one that no longer serves this binary is refused. Waits at most about 10 s.
    pub async fn connect(database: &Database, pools: Pools) -> Result<Self, ConnectError> {
        let db = Arc::new(Db::connect(database, pools).await?);
        schema::state(&db).await?;
        let figures = Arc::default();
        let (found, cursor) = (Arc::default(), Arc::default());
        Ok(Self {
            db,
            figures,
            found,
            cursor,
        })
    }

    /// How the schema stands against this binary. A server asks again now and then: another version may migrate the
    /// database, and no longer serve this one. Waits for no connection that a request may hold.
    pub async fn schema(&self) -> Result<SchemaState, SchemaError> {
        let state = schema::state(&self.db).await;
        let known = self.db.migrations().last().map_or(0, |last| last.number);
        match &state {
            Ok(SchemaState::Current) => self.figures.note_schema(known),
            Ok(SchemaState::Ahead { database, .. }) => self.figures.note_schema(*database),
            _ => {}
        }
        state
    }

    /// The migrations that [`SqlStore::migrate`] would apply, in order.
    pub async fn plan(&self) -> Result<Vec<PlannedMigration>, SchemaError> {
        schema::plan(&self.db).await
    }

    /// Applies the missing migrations, each in a transaction, under a lock: any number of processes
    /// may do so at once, and one that was killed is continued by the next. Answers the
    /// numbers that this call applied.
    pub async fn migrate(&self) -> Result<Vec<i64>, SchemaError> {
        schema::migrate(&self.db).await
    }

    /// Whether the database belongs to a root secret already.
    pub async fn has_root_secret(&self) -> Result<bool, StoreError> {
        let rows = self
            .read("has_root_secret", statements::SECRET_FINGERPRINT, vec![])
            .await?;
        let stored = records::first(&rows, |row| row.columns().take_opt::<Vec<u8>>())?;
        Ok(stored.flatten().is_some())
    }

    /// What the database's clock shows, which all instances share; `None` on SQLite, where there is one instance.
    pub async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        self.detached("time", |db| async move { Ok(db.time().await?) })
            .await
    }

    /// The connections at this moment.
    pub fn pool(&self) -> PoolState {
        self.db.pool()
    }

    /// Runs work to its end, also where whoever waits for it goes away. A statement that is dropped
    /// under way costs a connection to PostgreSQL, and clients can hang up faster than connections are made.
    /// `operation` names it in the figures.
    #[allow(
        clippy::disallowed_methods,
        reason = "the store measures how long the database takes"
    )]
    pub(crate) async fn detached<T, F>(
        &self,
        operation: &'static str,
        work: impl FnOnce(Arc<Db>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let work = work(Arc::clone(&self.db));
        let figures = Arc::clone(&self.figures);
        let work = async move {
            let began = Instant::now();
            let done = work.await;
            figures.note(operation, began.elapsed(), done.is_err());
            done
        };
        match tokio::spawn(work).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Unavailable(format!(
                "a task ended early: {error}"
            ))),
        }
    }

    /// [`Db::read`], detached.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.detached(
            operation,
            |db| async move { Ok(db.read(sql, values).await?) },
        )
        .await
    }

    /// [`Db::write`], detached.
    pub(crate) async fn write(
        &self,
        operation: &'static str,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Vec<Row>, StoreError> {
        self.detached(
            operation,
            |db| async move { Ok(db.write(sql, values).await?) },
        )
        .await
    }

    pub(crate) fn cursor(&self) -> MutexGuard<'_, Cursor> {
        self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all connections once they are idle. What was announced is told to other instances first, for
    /// which it waits a second at most. Calls made afterwards answer
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.db.close().await;
    }
}

impl fmt::Debug for SqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlStore")
            .field("pool", &self.pool())
            .finish()
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.read("ping", statements::PING, vec![]).await?;
        Ok(())
    }

    fn closed(&self) -> Option<Closed> {
        self.found.get()
    }
}
