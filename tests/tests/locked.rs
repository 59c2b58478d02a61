//! Another program holds the database's locks: requests wait a little, then are told so, and nothing is half done.

use std::time::Duration;

use countersign_tests::database::connect;
use countersign_tests::{Answer, Backend, Database, Server, on_each_backend};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";

on_each_backend!(a_lock_is_waited_for_briefly_and_consumes_nothing);

async fn a_lock_is_waited_for_briefly_and_consumes_nothing(backend: Backend) {
    let server = Server::start(backend).await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;
    api.me(&session.access).await.expect(200);
    let lock = Lock::take(&server.database).await;

    let began = Instant::now();
    let (refresh, logout, register, login) = tokio::join!(
        api.refresh(&session.refresh),
        api.logout(&session.refresh),
        api.register("bob@example.com", PASSWORD),
        api.login("ada@example.com", PASSWORD),
    );
    for answer in [refresh, logout, register, login] {
        assert_unavailable(&answer);
    }
    let waited = began.elapsed();
    println!("refused after {waited:?}");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    assert_eq!(api.get("/healthz").await.status, 200);
    // From memory.
    api.me(&session.access).await.expect(200);

    lock.release().await;
    let next = api.refresh(&session.refresh).await.tokens();
    api.me(&next.access).await.expect(200);
    api.register("bob@example.com", PASSWORD).await.expect(201);
    server.database.check_integrity().await;
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(
        answer.header("retry-after").parse::<u64>().is_ok(),
        "{:?}",
        answer.headers
    );
}

/// An open transaction that holds what every change needs.
enum Lock {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Lock {
    async fn take(database: &Database) -> Lock {
        match database {
            Database::Sqlite { .. } => {
                let mut connection = SqliteConnection::connect(&database.url()).await.unwrap();
                sqlx::query("BEGIN IMMEDIATE")
                    .execute(&mut connection)
                    .await
                    .unwrap();
                Lock::Sqlite(connection)
            }
            Database::Postgres { .. } => {
                let pool = connect(&database.url(), 1).await;
                let mut connection = pool.acquire().await.unwrap().detach();
                let statement = "BEGIN; LOCK TABLE users, sessions IN ACCESS EXCLUSIVE MODE";
                sqlx::raw_sql(AssertSqlSafe(statement))
                    .execute(&mut connection)
                    .await
                    .unwrap();
                Lock::Postgres(connection)
            }
        }
    }

    async fn release(self) {
        match self {
            Lock::Sqlite(mut connection) => {
                sqlx::query("ROLLBACK")
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
            Lock::Postgres(mut connection) => {
                sqlx::query("ROLLBACK")
                    .execute(&mut connection)
                    .await
                    .unwrap();
            }
        }
    }
}
