//! The parts of the harness that other tests lean on without noticing when they do nothing.

use countersign_tests::database::connect;
use countersign_tests::postgres::Cluster;
use countersign_tests::{Backend, Database, on_each_backend};
use sqlx::Connection;

on_each_backend!(a_dump_shows_every_value);

async fn a_dump_shows_every_value(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let database = match backend {
        Backend::Sqlite => {
            std::fs::write(folder.path().join("countersign.db"), "").unwrap();
            Database::create(backend, folder.path()).await
        }
        Backend::Postgres => Database::create(backend, folder.path()).await,
    };
    let bytes = match backend {
        Backend::Sqlite => "BLOB",
        Backend::Postgres => "bytea",
    };
    database
        .texts(&format!("CREATE TABLE t (a TEXT, b {bytes}, c INTEGER)"))
        .await;
    let value = match backend {
        Backend::Sqlite => "x'c0ffee'",
        Backend::Postgres => "decode('c0ffee', 'hex')",
    };
    database
        .texts(&format!("INSERT INTO t VALUES ('a value', {value}, 42)"))
        .await;
    let dump = database.dump().await.to_lowercase();
    for part in ["a value", "c0ffee", "42"] {
        assert!(dump.contains(part), "{part} is missing:\n{dump}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_can_be_stopped_and_started_again() {
    let cluster = Cluster::start();
    let database = Database::create_on(&cluster.url).await;
    database.texts("CREATE TABLE t (a TEXT)").await;
    cluster.stop();
    assert!(sqlx::PgConnection::connect(&cluster.url).await.is_err());
    cluster.start_again();
    connect(&database.url(), 1).await.close().await;
    database.texts("SELECT a FROM t").await;
}
