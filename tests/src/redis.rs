//! A Redis that one test may kill, freeze, fill and start again, and just enough of its protocol (RESP2) to do so.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::Random;

/// One server. Dropping it kills it and deletes its folder.
#[derive(Debug)]
pub struct Redis {
    /// Below the ephemeral range, so that no outgoing connection holds it.
    pub port: u16,
    folder: TempDir,
    options: Vec<String>,
    /// User and password, where the default user may do nothing.
    login: Option<(String, String)>,
    child: Option<Child>,
}

/// An answer: text, number, nothing, or several of these. Errors are the `Err` of [`Redis::ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Nothing,
    Many(Vec<Reply>),
}

impl Reply {
    /// The text or number; empty if it is neither.
    pub fn text(&self) -> &str {
        match self {
            Reply::Text(text) => text,
            _ => "",
        }
    }
}

impl Redis {
    /// Starts one that writes nothing to the disk by itself. With `--sentinel` among the options it is a Sentinel.
    pub async fn start(random: &mut Random, options: &[&str]) -> Redis {
        let mut options: Vec<&str> = options.to_vec();
        if !options.contains(&"--sentinel") {
            options.extend(["--save", "", "--appendonly", "no"]);
        }
        Redis::start_from(random, |_| Vec::new(), &options, None).await
    }

    /// Starts one with these files in its folder, of which `settings.conf` is its own; the paths in them may name the folder. The
    /// address and the folder are set beside them. The test itself speaks as `login`, user and password.
    pub async fn start_from(
        random: &mut Random,
        files: impl Fn(&Path) -> Vec<(&'static str, String)>,
        options: &[&str],
        login: Option<(&str, &str)>,
    ) -> Redis {
        let folder = crate::server::temporary_folder();
        for (name, text) in files(folder.path()) {
            std::fs::write(folder.path().join(name), text).expect("write");
        }
        let mut redis = Redis {
            port: 0,
            folder,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            login: login.map(|(user, password)| (user.into(), password.into())),
            child: None,
        };
        for _ in 0..8 {
            // Those of a Cluster need the port 10000 above as well.
            redis.port = 11_000 + random.below(9_000) as u16;
            if redis.launch().await {
                return redis;
            }
        }
        panic!("Redis does not start: {}", redis.log());
    }

    /// Starts it again on the same port, with what its folder holds.
    pub async fn start_again(&mut self) {
        assert!(self.launch().await, "Redis does not start: {}", self.log());
    }

    async fn launch(&mut self) -> bool {
        let log = self.folder.path().join("log");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("log");
        // A Sentinel keeps what it learns in its file.
        let settings = self.folder.path().join("settings.conf");
        if !settings.exists() {
            std::fs::write(&settings, "").expect("settings");
        }
        let mut command = Command::new(program());
        command
            .arg(&settings)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.options);
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log);
        let child = child.spawn();
        self.child =
            Some(child.expect("start redis-server; on Debian: apt-get install redis-server"));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            let child = self.child.as_mut().expect("just started");
            if child.try_wait().expect("wait").is_some() {
                self.child = None;
                return false;
            }
            // Somebody else's on the same port answers too.
            let pid = child.id().to_string();
            let info = self.ask(&["INFO", "server"]).await;
            if info.is_ok_and(|info| info.text().contains(&format!("process_id:{pid}\r"))) {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it has not been killed.
    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("Redis runs");
        kill_process(Pid::from_child(child), signal).expect("signal");
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends one command on a connection of its own.
    pub async fn ask(&self, words: &[&str]) -> Result<Reply, String> {
        let login = self.login.as_ref();
        let login = login.map(|(user, password)| [user.as_str(), password.as_str()]);
        let asking = timeout(Duration::from_secs(5), ask_as(login, self.port, words));
        asking.await.map_err(|_| "no answer".to_owned())?
    }

    /// Sends one command, which must succeed.
    pub async fn must(&self, words: &[&str]) -> Reply {
        let reply = self.ask(words).await;
        reply.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// A field of `INFO`.
    pub async fn info(&self, field: &str) -> String {
        let info = self.must(&["INFO"]).await;
        let line = info
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_default().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `redis-server`, or another that speaks the same, such as Valkey's.
fn program() -> OsString {
    std::env::var_os("COUNTERSIGN_REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

pub(crate) async fn ask(port: u16, words: &[&str]) -> Result<Reply, String> {
    ask_as(None, port, words).await
}

async fn ask_as(login: Option<[&str; 2]>, port: u16, words: &[&str]) -> Result<Reply, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let mut stream = BufReader::new(stream.map_err(|error| error.to_string())?);
    if let Some([user, password]) = login {
        send(&mut stream, &["AUTH", user, password]).await?;
    }
    send(&mut stream, words).await
}

async fn send(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<Reply, String> {
    let mut command = format!("*{}\r\n", words.len());
    for word in words {
        command.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    let sent = stream.write_all(command.as_bytes()).await;
    sent.map_err(|error| error.to_string())?;
    read(stream).await
}

async fn read(stream: &mut BufReader<TcpStream>) -> Result<Reply, String> {
    let mut line = String::new();
    let read_line = stream.read_line(&mut line).await;
    read_line.map_err(|error| error.to_string())?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).ok_or("cut off")?;
    let length = || rest.parse::<i64>().map_err(|error| error.to_string());
    match kind {
        "+" | ":" => Ok(Reply::Text(rest.into())),
        "-" => Err(rest.into()),
        "$" => {
            let Ok(length) = usize::try_from(length()?) else {
                return Ok(Reply::Nothing);
            };
            let mut bytes = vec![0; length + 2];
            let done = stream.read_exact(&mut bytes).await;
            done.map_err(|error| error.to_string())?;
            bytes.truncate(length);
            Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        "*" => {
            let mut many = Vec::new();
            for _ in 0..length()? {
                many.push(Box::pin(read(stream)).await?);
            }
            Ok(Reply::Many(many))
        }
        _ => Err(format!("not RESP2: {line}")),
    }
}
