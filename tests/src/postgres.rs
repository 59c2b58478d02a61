//! A PostgreSQL that one test may stop, start and reconfigure: `scripts/postgres` in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// A cluster; dropping it stops the server and deletes the folder.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    options: String,
    /// URL of its database `postgres`.
    pub url: String,
}

impl Cluster {
    /// Makes one and starts it.
    pub fn start() -> Cluster {
        Cluster::start_with("")
    }

    /// The same with further options for the server.
    pub fn start_with(options: &str) -> Cluster {
        let folder = tempfile::Builder::new()
            .prefix("countersign-postgres.")
            .tempdir()
            .expect("temporary folder");
        let url = run(options, &["start".as_ref(), folder.path()]);
        Cluster {
            folder,
            options: options.into(),
            url,
        }
    }

    /// Stops the server at once, as if it had crashed: what is in flight is cut off.
    pub fn stop(&self) {
        run(&self.options, &["stop".as_ref(), self.folder.path()]);
    }

    /// Stops the server in order: what is in flight is undone, connections are told.
    pub fn stop_fast(&self) {
        run(
            &self.options,
            &["stop".as_ref(), self.folder.path(), "fast".as_ref()],
        );
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        let (_, rest) = self.url.split_once('@').expect("the URL has a user");
        rest.trim_end_matches("/postgres")
    }

    /// Makes every transaction read-only, on the connections that are open too, or undoes that.
    pub async fn set_read_only(&self, read_only: bool) {
        let word = if read_only { "on" } else { "off" };
        let mut admin = self.admin().await;
        // The literal is one of two words.
        let statement = sqlx::AssertSqlSafe(format!(
            "ALTER SYSTEM SET default_transaction_read_only = {word}"
        ));
        sqlx::query(statement)
            .execute(&mut admin)
            .await
            .expect("ALTER SYSTEM");
        sqlx::query("SELECT pg_reload_conf()")
            .execute(&mut admin)
            .await
            .expect("reload");
        let began = Instant::now();
        loop {
            let seen: String =
                sqlx::query_scalar("SELECT current_setting('default_transaction_read_only')")
                    .fetch_one(&mut self.admin().await)
                    .await
                    .expect("setting");
            if seen == word {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "PostgreSQL does not take the setting over"
            );
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A connection to its database `postgres`.
    pub async fn admin(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("connect to PostgreSQL")
    }

    /// Starts it again on the same port.
    pub fn start_again(&self) {
        let (_, port) = self
            .url
            .trim_end_matches("/postgres")
            .rsplit_once(':')
            .expect("the URL has a port");
        run(
            &self.options,
            &["start".as_ref(), self.folder.path(), port.as_ref()],
        );
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.folder.path().join("data/postmaster.pid").exists() {
            self.stop();
        }
    }
}

/// Runs `scripts/postgres` and returns the line that it prints.
fn run(options: &str, arguments: &[&Path]) -> String {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "scripts", "postgres"]
        .iter()
        .collect();
    let inherited = std::env::var("COUNTERSIGN_POSTGRES_OPTIONS").unwrap_or_default();
    let output = Command::new(script)
        .args(arguments)
        .env(
            "COUNTERSIGN_POSTGRES_OPTIONS",
            format!("{inherited} {options}"),
        )
        .output()
        .expect("run scripts/postgres");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "scripts/postgres {arguments:?} failed: {errors}"
    );
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .trim()
        .to_owned()
}
