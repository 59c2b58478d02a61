//! The server under measurement.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::process::Process;

/// What the server keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
        }
    }
}

/// A server with a folder of its own. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    rounds: u8,
    lanes: u8,
    database: Option<String>,
    database_process: Option<Process>,
    /// The root secret of another instance; its own lies in its folder.
    secret: Option<String>,
    /// Settings beside those that every server here has.
    more: Vec<(&'static str, String)>,
    folder: TempDir,
    running: Option<(Child, String)>,
}

impl Server {
    /// A server that is not running yet.
    pub(crate) async fn prepare(
        binary: &Path,
        backend: Backend,
        rounds: u8,
        lanes: u8,
    ) -> Result<Server> {
        let binary = binary
            .canonicalize()
            .with_context(|| format!("{}: not built", binary.display()))?;
        let (mut database, mut database_process) = (None, None);
        if backend == Backend::Postgres {
            let missing =
                "COUNTERSIGN_TEST_POSTGRES names no PostgreSQL; `scripts/with-postgres` starts one";
            database = Some(std::env::var("COUNTERSIGN_TEST_POSTGRES").context(missing)?);
            let pid = std::env::var("COUNTERSIGN_TEST_POSTGRES_PID").ok();
            database_process = pid.and_then(|pid| pid.parse().ok()).map(Process);
        }
        let folder = tempfile::Builder::new()
            .prefix("countersign-bench.")
            .tempdir()?;
        Ok(Server {
            binary,
            rounds,
            lanes,
            database,
            database_process,
            secret: None,
            more: Vec::new(),
            folder,
            running: None,
        })
    }

    /// Another instance on the same database, with the same root secret and a folder of its own, not running yet.
    pub(crate) fn sibling(&self) -> Result<Server> {
        let secret = std::fs::read_to_string(self.folder.path().join("data/root-secret"))?;
        Ok(Server {
            binary: self.binary.clone(),
            rounds: self.rounds,
            lanes: self.lanes,
            database: self.database.clone(),
            database_process: self.database_process,
            secret: Some(secret.trim().to_owned()),
            more: self.more.clone(),
            folder: tempfile::Builder::new()
                .prefix("countersign-bench.")
                .tempdir()?,
            running: None,
        })
    }

    /// Starts the process; returns the time until `/readyz` answered 200.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        let address = free_address().await?;
        let mut command = self.settings();
        command.arg("serve").env("COUNTERSIGN_ADDR", &address);
        let log = std::fs::File::create(self.folder.path().join("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let began = Instant::now();
        self.running = Some((
            command.spawn().context("start the server")?,
            address.clone(),
        ));
        loop {
            if let Ok(mut connection) = Connection::open(&address).await
                && connection.get("/readyz", None).await.is_ok()
            {
                return Ok(began.elapsed());
            }
            let (child, _) = self.running.as_mut().context("just started")?;
            let ended = child.try_wait()?;
            if ended.is_some() || began.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(self.folder.path().join("log"))?;
                anyhow::bail!("the server did not become ready; its log:\n{log}");
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Runs another command of the binary on the same database; it must succeed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<()> {
        self.output(arguments).map(drop)
    }

    /// The same; returns what it printed.
    pub(crate) fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.settings().args(arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Changes a setting for the next start.
    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.more.push((name, value));
    }

    /// The binary with the settings of this server.
    fn settings(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_clear().current_dir(self.folder.path());
        command.env("COUNTERSIGN_OPS_ADDR", "off");
        command.env("COUNTERSIGN_DATA_DIR", self.folder.path().join("data"));
        // The same for every instance, whatever its port.
        command.env("COUNTERSIGN_ISSUER", "http://countersign.bench");
        command.env("BCRYPT_ROUNDS", self.rounds.to_string());
        // All load comes from this machine.
        for limit in ["LOGIN", "ACCOUNT", "REGISTER", "REFRESH", "OTHER"] {
            command.env(format!("RATE_LIMIT_{limit}"), "off");
        }
        command.envs(self.more.iter().cloned());
        command.env("HASH_LANES", self.lanes.to_string());
        if let Some(database) = &self.database {
            command.env("DATABASE_URL", database);
        }
        if let Some(secret) = &self.secret {
            command.env("COUNTERSIGN_SECRET", secret);
        }
        command
    }

    /// Ends it by SIGTERM, and waits.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let (mut child, _) = self.running.take().context("it runs")?;
        kill_process(Pid::from_child(&child), Signal::TERM)?;
        let began = Instant::now();
        while child.try_wait()?.is_none() {
            if began.elapsed() > Duration::from_secs(15) {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("still running 15 s after SIGTERM");
            }
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.running.as_ref().map_or("", |(_, address)| address)
    }

    /// `BCRYPT_ROUNDS`.
    pub(crate) fn rounds(&self) -> u8 {
        self.rounds
    }

    pub(crate) fn process(&self) -> Process {
        Process(self.running.as_ref().map_or(0, |(child, _)| child.id()))
    }

    /// The main process of PostgreSQL, if it is known.
    pub(crate) fn database_process(&self) -> Option<Process> {
        self.database_process
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An address that was free a moment ago.
async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .await?
        .local_addr()?
        .to_string())
}
