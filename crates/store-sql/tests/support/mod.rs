//! Fresh databases for tests. Included by the crate's own tests and by those in `tests/`.
#![allow(dead_code, unreachable_pub, reason = "no single test uses all of it")]

use countersign_store_sql::{Database, Pools, SqlStore};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

const VARIABLE: &str = "COUNTERSIGN_TEST_POSTGRES";
pub const POOLS: Pools = Pools { max_connections: 8 };

/// A database that is removed when this is dropped.
pub struct Fresh {
    pub database: Database,
    folder: Option<TempDir>,
    name: Option<String>,
}

/// A SQLite file in a folder of its own.
pub fn sqlite() -> Fresh {
    let folder = TempDir::new().unwrap();
    Fresh {
        database: Database::Sqlite(folder.path().join("countersign.db")),
        folder: Some(folder),
        name: None,
    }
}

/// A database on the server that the environment names. Without one the test fails: a backend that
/// was not tested must not look like one that was.
pub async fn postgres() -> Fresh {
    let name = format!("countersign_{}", random().simple());
    admin(format!("CREATE DATABASE {name}")).await;
    Fresh {
        database: Database::Postgres(url_of(&name)),
        folder: None,
        name: Some(name),
    }
}

impl Fresh {
    /// One more pool of its own over the database.
    pub async fn connect(&self) -> SqlStore {
        SqlStore::connect(&self.database, POOLS).await.unwrap()
    }

    /// The file of a SQLite database.
    pub fn file(&self) -> std::path::PathBuf {
        match &self.database {
            Database::Sqlite(path) => path.clone(),
            other => panic!("{other:?} has no file"),
        }
    }

    /// The URL of a PostgreSQL database.
    pub fn url(&self) -> String {
        match &self.database {
            Database::Postgres(url) => url.clone(),
            other => panic!("{other:?} has no URL"),
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        // A test's runtime cannot be waited on from here, so the farewell gets one of its own.
        let farewell = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(admin(format!(
                "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
            )));
        });
        // Failing to clean up fails no test.
        drop(farewell.join());
    }
}

pub fn random() -> uuid::Uuid {
    #[allow(clippy::disallowed_methods, reason = "names of test databases")]
    uuid::Uuid::new_v4()
}

fn server() -> String {
    std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} names no PostgreSQL server: run the tests with `scripts/test`")
    })
}

fn url_of(name: &str) -> String {
    let server = server();
    let (place, options) = server.split_once('?').unwrap_or((&server, ""));
    let (place, _) = place.rsplit_once('/').expect("a URL with a database");
    format!("{place}/{name}?{options}")
}

async fn admin(sql: String) {
    let mut connection = PgConnection::connect(&server()).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection);
    done.await.unwrap();
    connection.close().await.unwrap();
}
