//! One process of the server, with a data folder and a database of its own.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::database::{Backend, Database};
use crate::setup::Setup;

/// How long a start may take before the test gives up. Far more than it needs: the machine may be busy.
const START: Duration = Duration::from_secs(30);

/// A root secret for instances that share a database and no folder.
pub const ROOT_SECRET: &str = "black-box/7VjS0m3yqk1fWm6Yx0Zp2uQe9rTnLd4hBvXcGaKsJiE=";

/// A server. Dropping it kills the process; the folder and the database go when no instance uses them any more.
#[derive(Debug)]
pub struct Server {
    settings: BTreeMap<String, String>,
    backend: Backend,
    /// Of which version it is when it is next started; `None`: the binary under test.
    program: Option<PathBuf>,
    running: Option<Running>,
    /// Shared with its siblings.
    pub database: Arc<Database>,
    folder: Arc<TempDir>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    base: String,
}

impl Server {
    /// A server that is not running yet.
    pub(crate) fn new(setup: Setup, folder: Arc<TempDir>, database: Arc<Database>) -> Server {
        Server {
            settings: setup.settings,
            backend: setup.backend,
            program: setup.program,
            folder,
            database,
            running: None,
        }
    }

    /// Starts a server with the settings of [`Setup::new`].
    pub async fn start(backend: Backend) -> Server {
        Setup::new(backend).start().await
    }

    /// Starts another instance on the same database, with the same root secret and a folder of its own.
    pub async fn sibling(&self) -> Server {
        let mut settings = self.settings.clone();
        let folder = Arc::new(temporary_folder());
        if !settings.contains_key("COUNTERSIGN_SECRET") {
            let secret = std::fs::read_to_string(self.folder.path().join("root-secret"))
                .expect("root secret");
            settings.insert("COUNTERSIGN_SECRET".into(), secret.trim().into());
        }
        let setup = Setup {
            backend: self.backend,
            settings,
            program: self.program.clone(),
        };
        let mut sibling = setup.prepare_on(folder, self.database.clone());
        sibling.launch().await;
        sibling
    }

    /// Starts the process and waits until it is ready.
    pub async fn launch(&mut self) {
        assert!(self.running.is_none(), "it runs already");
        let mut child = self.command(&["serve"]).spawn().expect("start the server");
        let log = Arc::new(Mutex::new(String::new()));
        capture(child.stdout.take().expect("piped"), log.clone());
        capture(child.stderr.take().expect("piped"), log.clone());
        self.running = Some(Running {
            child,
            log,
            base: String::new(),
        });
        let deadline = Instant::now() + START;
        loop {
            assert!(Instant::now() < deadline, "not ready within {START:?}");
            let running = self.running.as_mut().expect("just started");
            if let Some(status) = running.child.try_wait().expect("wait") {
                panic!("the server ended with {status} instead of becoming ready");
            }
            if let Some(address) = listening_address(&running.log.lock().expect("log")) {
                running.base = address;
            }
            if !running.base.is_empty() && self.api().get("/readyz").await.status == 200 {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Runs `countersign ARGUMENTS` with this server's settings; not started yet, its output is piped.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(
            self.program.as_deref().unwrap_or_else(|| binary()),
            arguments,
        )
    }

    /// The same with another version.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.settings)
            .current_dir(self.folder());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the server until it ends by itself, as it must where its settings or its database are wrong. Returns the
    /// exit code and all that it printed.
    pub fn run_refused(&self) -> (Option<i32>, String) {
        let mut child = self.command(&["serve"]).spawn().expect("start the server");
        let log = Arc::new(Mutex::new(String::new()));
        let readers = [
            capture(child.stdout.take().expect("piped"), log.clone()),
            capture(child.stderr.take().expect("piped"), log.clone()),
        ];
        let deadline = Instant::now() + START;
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                panic!(
                    "the server started, which it must not: {}",
                    log.lock().expect("log")
                );
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        for reader in readers {
            reader.join().expect("reader");
        }
        let log = log.lock().expect("log").clone();
        (status.code(), log)
    }

    /// A client of it.
    pub fn api(&self) -> Api {
        Api::new(self.base())
    }

    /// `http://127.0.0.1:PORT`. Another port after each start.
    pub fn base(&self) -> &str {
        &self.running.as_ref().expect("the server runs").base
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.base().trim_start_matches("http://")
    }

    /// The data folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.into(), value.into());
    }

    /// Makes it of another version from the next start, or the next command, on.
    pub fn set_program(&mut self, program: &Path) {
        self.program = Some(program.to_owned());
    }

    /// Takes a setting away for the next start.
    pub fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// `http://127.0.0.1:PORT` of the operator's listener, if the settings ask for one.
    pub fn operator(&self) -> Api {
        let running = self.running.as_ref().expect("the server runs");
        let log = running.log.lock().expect("log");
        let (_, rest) = log
            .split_once("operator's listener on ")
            .expect("the operator's address in the log");
        Api::new(rest.split_whitespace().next().expect("an address"))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the server runs").child.id()
    }

    /// All that it has printed since its start.
    pub fn log(&self) -> String {
        self.running
            .as_ref()
            .expect("the server runs")
            .log
            .lock()
            .expect("log")
            .clone()
    }

    /// What it has printed since its log had this length.
    pub fn log_after(&self, length: usize) -> String {
        let running = self.running.as_ref().expect("the server runs");
        let log = running.log.lock().expect("log");
        log.get(length..).unwrap_or_default().to_owned()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let running = self.running.as_ref().expect("the server runs");
        kill_process(Pid::from_child(&running.child), signal).expect("signal");
    }

    /// Waits for the process to end by itself.
    pub async fn wait(&mut self, longest: Duration) -> ExitStatus {
        let deadline = Instant::now() + longest;
        loop {
            let running = self.running.as_mut().expect("the server runs");
            if let Some(status) = running.child.try_wait().expect("wait") {
                self.running = None;
                return status;
            }
            assert!(Instant::now() < deadline, "still running after {longest:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGTERM, and waits until it has ended well.
    pub async fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait(Duration::from_secs(12)).await;
        assert_eq!(status.code(), Some(0), "after SIGTERM");
    }

    /// Stops it, and returns all that it has printed from its start to its end.
    pub async fn stop_with_log(&mut self) -> String {
        let log = self.running.as_ref().expect("the server runs").log.clone();
        self.stop().await;
        let deadline = Instant::now() + START;
        // The thread that reads may be behind; this is the last line.
        while !log.lock().expect("log").contains("stopped") {
            assert!(Instant::now() < deadline, "its last line is missing");
            sleep(Duration::from_millis(5)).await;
        }
        log.lock().expect("log").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (true, Some(running)) = (std::thread::panicking(), &self.running) {
            println!(
                "--- log of the server on {}\n{}---",
                running.base,
                running.log.lock().expect("log")
            );
        }
        self.kill();
    }
}

pub(crate) fn temporary_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("countersign-test.")
        .tempdir()
        .expect("temporary folder")
}

/// The binary under test: `COUNTERSIGN_TEST_BINARY`, or what `cargo build` makes beside this test.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(binary) = std::env::var_os("COUNTERSIGN_TEST_BINARY") {
            return binary.into();
        }
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "countersign-server"])
            .status();
        assert!(
            built.expect("run cargo").success(),
            "cargo build -p countersign-server failed"
        );
        let test = std::env::current_exe().expect("path of this test");
        // A test is in `target/debug/deps`, the campaign beside the server.
        let folder = test.parent().expect("a folder");
        let folder = match folder.ends_with("deps") {
            true => folder.parent().expect("target/debug"),
            false => folder,
        };
        folder.join("countersign")
    })
}

/// The server as its next version could be: `COUNTERSIGN_TEST_NEXT`, or what `cargo build` makes.
pub fn next_binary() -> PathBuf {
    if let Some(next) = std::env::var_os("COUNTERSIGN_TEST_NEXT") {
        return next.into();
    }
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "countersign-rehearsal"])
        .status();
    assert!(
        built.expect("run cargo").success(),
        "cargo build -p countersign-rehearsal failed"
    );
    binary().with_file_name("countersign-next")
}

/// Keeps what a process prints, line by line.
fn capture(
    stream: impl Read + Send + 'static,
    log: Arc<Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|length| length > 0)
        {
            log.lock()
                .expect("log")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Finds `listening on http://127.0.0.1:PORT`.
fn listening_address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("listening on http://")?;
    let (address, _) = rest.split_once(|c: char| c.is_whitespace() || c == '"')?;
    Some(format!("http://{address}"))
}
