//! The server under measurement.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::process::{Cpu, Process};

/// What the server keeps its data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
    /// SQLite with Redis before it.
    #[value(name = "sqlite+redis")]
    SqliteRedis,
    /// PostgreSQL with Redis before it.
    #[value(name = "postgres+redis")]
    PostgresRedis,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Backend::Sqlite => "SQLite",
            Backend::Postgres => "PostgreSQL",
            Backend::SqliteRedis => "SQLite + Redis",
            Backend::PostgresRedis => "PostgreSQL + Redis",
        }
    }

    pub(crate) fn on_postgres(self) -> bool {
        matches!(self, Backend::Postgres | Backend::PostgresRedis)
    }

    pub(crate) fn with_redis(self) -> bool {
        matches!(self, Backend::SqliteRedis | Backend::PostgresRedis)
    }
}

/// The servers beside the one under measurement, as the scripts that start them tell.
#[derive(Debug, Clone, Default)]
struct Beside {
    url: Option<String>,
    process: Option<Process>,
}

impl Beside {
    /// Reads `COUNTERSIGN_TEST_<name>` and `…_PID`.
    fn find(name: &str, script: &str) -> Result<Beside> {
        let variable = format!("COUNTERSIGN_TEST_{name}");
        let missing = || format!("{variable} names none; `{script}` starts one");
        let url = std::env::var(&variable).with_context(missing)?;
        let pid = std::env::var(format!("{variable}_PID")).ok();
        let process = pid.and_then(|pid| pid.parse().ok()).map(Process);
        Ok(Beside {
            url: Some(url),
            process,
        })
    }
}

/// A server with a folder of its own. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct Server {
    binary: PathBuf,
    rounds: u8,
    lanes: u8,
    /// `AUDIT_REFRESHES`.
    audit_refreshes: bool,
    database: Beside,
    redis: Beside,
    /// The root secret. All servers of a run share a PostgreSQL, and so their secret.
    secret: String,
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
        let (mut database, mut redis) = (Beside::default(), Beside::default());
        if backend.on_postgres() {
            database = Beside::find("POSTGRES", "scripts/with-postgres")?;
        }
        if backend.with_redis() {
            redis = Beside::find("REDIS", "scripts/with-redis --single")?;
        }
        let folder = tempfile::Builder::new()
            .prefix("countersign-bench.")
            .tempdir()?;
        Ok(Server {
            binary,
            rounds,
            lanes,
            audit_refreshes: true,
            database,
            redis,
            secret: secret().to_owned(),
            more: Vec::new(),
            folder,
            running: None,
        })
    }

    /// Another instance on the same database, with the same root secret and a folder of its own, not running yet.
    pub(crate) fn sibling(&self) -> Result<Server> {
        Ok(Server {
            binary: self.binary.clone(),
            rounds: self.rounds,
            lanes: self.lanes,
            audit_refreshes: self.audit_refreshes,
            database: self.database.clone(),
            redis: self.redis.clone(),
            secret: self.secret.clone(),
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
        let audit = if self.audit_refreshes { "on" } else { "off" };
        command.env("AUDIT_REFRESHES", audit);
        command.env("COUNTERSIGN_SECRET", &self.secret);
        for (name, beside) in [("DATABASE_URL", &self.database), ("REDIS_URL", &self.redis)] {
            if let Some(url) = &beside.url {
                command.env(name, url);
            }
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

    /// From the next start on it records no refreshes in the audit log.
    pub(crate) fn leave_refreshes_out(&mut self) {
        self.audit_refreshes = false;
    }

    /// The URL of Redis, if it uses one.
    pub(crate) fn redis(&self) -> Option<&str> {
        self.redis.url.as_deref()
    }

    /// CPU time so far of the server, Redis and the database.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        let redis = self.redis.process.map(Process::cpu).transpose()?;
        let database = self.database.process;
        let database = database.map(Process::cpu_with_children).transpose()?;
        Ok(Cpu {
            server: self.process().cpu()?,
            redis: redis.unwrap_or_default(),
            database: database.unwrap_or_default(),
        })
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

/// A root secret for this run.
fn secret() -> &'static str {
    static SECRET: OnceLock<String> = OnceLock::new();
    SECRET.get_or_init(|| {
        let word = || RandomState::new().build_hasher().finish();
        (0..4).map(|_| format!("{:016x}", word())).collect()
    })
}

/// An address that was free a moment ago.
async fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .await?
        .local_addr()?
        .to_string())
}
