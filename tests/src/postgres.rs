//! A PostgreSQL that one test may stop, start and reconfigure: `scripts/postgres` in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A cluster; dropping it stops the server and deletes the folder.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    /// URL of its database `postgres`.
    pub url: String,
}

impl Cluster {
    /// Makes one and starts it.
    pub fn start() -> Cluster {
        let folder = tempfile::Builder::new()
            .prefix("countersign-postgres.")
            .tempdir()
            .expect("temporary folder");
        let url = run(&["start".as_ref(), folder.path()]);
        Cluster { folder, url }
    }

    /// Stops the server at once: what is in flight is cut off.
    pub fn stop(&self) {
        run(&["stop".as_ref(), self.folder.path()]);
    }

    /// Starts it again on the same port.
    pub fn start_again(&self) {
        let (_, port) = self
            .url
            .trim_end_matches("/postgres")
            .rsplit_once(':')
            .expect("the URL has a port");
        run(&["start".as_ref(), self.folder.path(), port.as_ref()]);
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
fn run(arguments: &[&Path]) -> String {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "scripts", "postgres"]
        .iter()
        .collect();
    let output = Command::new(script)
        .args(arguments)
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
