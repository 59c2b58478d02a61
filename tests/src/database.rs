//! A database of its own for each test.

use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};

use crate::random::unique;

/// What the server keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Sqlite,
    Postgres,
}

/// A database; dropping it deletes it. Its SQLite file lies in the data folder of the server.
#[derive(Debug)]
pub enum Database {
    Sqlite { file: PathBuf },
    Postgres { server: String, name: String },
}

impl Database {
    /// An empty one, for a server whose data folder is `folder`.
    pub async fn create(backend: Backend, folder: &Path) -> Database {
        match backend {
            Backend::Sqlite => Database::Sqlite {
                file: folder.join("countersign.db"),
            },
            Backend::Postgres => {
                let server = std::env::var("COUNTERSIGN_TEST_POSTGRES").expect(
                    "COUNTERSIGN_TEST_POSTGRES must name a PostgreSQL for tests; `scripts/with-postgres COMMAND` starts one",
                );
                Database::create_on(&server).await
            }
        }
    }

    /// An empty one on the PostgreSQL whose URL is `server`, which ends with a database's name.
    pub async fn create_on(server: &str) -> Database {
        let name = format!("black_box_{}", unique());
        let admin = connect(server, 1).await;
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&admin)
            .await
            .expect("create database");
        admin.close().await;
        Database::Postgres {
            server: server.to_owned(),
            name,
        }
    }

    /// The value of `DATABASE_URL`.
    pub fn url(&self) -> String {
        match self {
            Database::Sqlite { file } => format!("sqlite:{}", file.display()),
            Database::Postgres { server, name } => {
                let (start, _) = server
                    .rsplit_once('/')
                    .expect("a URL ends with a database's name");
                format!("{start}/{name}")
            }
        }
    }

    /// Every value of every row as text, one line a row. Bytes are in hexadecimal digits.
    pub async fn dump(&self) -> String {
        match self {
            Database::Sqlite { .. } => dump_sqlite(&self.sqlite().await).await,
            Database::Postgres { .. } => dump_postgres(&connect(&self.url(), 1).await).await,
        }
    }

    /// Runs one statement that answers one column of text, and returns its rows.
    pub async fn texts(&self, statement: &str) -> Vec<String> {
        let statement = AssertSqlSafe(statement.to_owned());
        match self {
            Database::Sqlite { .. } => {
                let pool = self.sqlite().await;
                let rows = sqlx::query_scalar(statement)
                    .fetch_all(&pool)
                    .await
                    .expect("statement");
                pool.close().await;
                rows
            }
            Database::Postgres { .. } => {
                let pool = connect(&self.url(), 1).await;
                let rows = sqlx::query_scalar(statement)
                    .fetch_all(&pool)
                    .await
                    .expect("statement");
                pool.close().await;
                rows
            }
        }
    }

    /// Panics if SQLite finds its file damaged; PostgreSQL has no such check.
    pub async fn check_integrity(&self) {
        if matches!(self, Database::Sqlite { .. }) {
            assert_eq!(self.texts("PRAGMA integrity_check").await, ["ok"]);
            let broken = self
                .texts("SELECT \"table\" FROM pragma_foreign_key_check")
                .await;
            assert!(broken.is_empty(), "broken foreign keys: {broken:?}");
        }
    }

    async fn sqlite(&self) -> SqlitePool {
        let Database::Sqlite { file } = self else {
            unreachable!("called on SQLite only")
        };
        SqlitePool::connect_with(SqliteConnectOptions::new().filename(file))
            .await
            .expect("open SQLite")
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Database::Postgres { server, name } = self else {
            return;
        };
        let (server, name) = (server.clone(), name.clone());
        // A runtime cannot be entered twice, so this one gets a thread of its own. Nothing depends on the outcome:
        // the test may have stopped this PostgreSQL, and a name is used only once.
        let _ = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("runtime");
            runtime.block_on(async {
                let wait = std::time::Duration::from_secs(5);
                let options: PgConnectOptions = server.parse().expect("URL");
                let pool = PgPoolOptions::new()
                    .max_connections(1)
                    .acquire_timeout(wait)
                    .connect_with(options)
                    .await;
                if let Ok(pool) = pool {
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    let _ = sqlx::query(AssertSqlSafe(drop)).execute(&pool).await;
                }
            });
        })
        .join();
    }
}

/// Connects to a PostgreSQL.
pub async fn connect(url: &str, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .connect(url)
        .await
        .expect("connect to PostgreSQL")
}

async fn dump_sqlite(pool: &SqlitePool) -> String {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(pool)
            .await
            .expect("tables");
    let mut dump = String::new();
    for table in tables {
        let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
            .bind(&table)
            .fetch_all(pool)
            .await
            .expect("columns");
        let values: Vec<String> = columns
            .iter()
            .map(|column| format!("CASE typeof(\"{column}\") WHEN 'blob' THEN hex(\"{column}\") ELSE coalesce(\"{column}\", '') END"))
            .collect();
        let statement = format!("SELECT {} FROM \"{table}\"", values.join(" || ' | ' || "));
        for row in sqlx::query(AssertSqlSafe(statement))
            .fetch_all(pool)
            .await
            .expect("rows")
        {
            dump.push_str(&format!("{table}: {}\n", row.get::<String, _>(0)));
        }
    }
    pool.close().await;
    dump
}

async fn dump_postgres(pool: &PgPool) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables
         WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(pool)
    .await
    .expect("tables");
    let mut dump = String::new();
    for table in tables {
        let statement = format!("SELECT t::text FROM {table} t");
        for row in sqlx::query(AssertSqlSafe(statement))
            .fetch_all(pool)
            .await
            .expect("rows")
        {
            dump.push_str(&format!("{table}: {}\n", row.get::<String, _>(0)));
        }
    }
    pool.close().await;
    dump
}
