//! A Redis server of a test's own, to be killed, stopped and started again.
#![allow(dead_code, unreachable_pub, reason = "no single test uses all of it")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub struct Server {
    pub port: u16,
    folder: TempDir,
    options: Vec<String>,
    child: Option<Child>,
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    pub async fn start(options: &[&str]) -> Self {
        let mut server = Self {
            port: free_port(),
            folder: TempDir::new().unwrap(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            child: None,
        };
        server.start_again().await;
        server
    }

    /// A Sentinel with these settings.
    pub async fn start_sentinel(settings: &str) -> Self {
        let (port, folder) = (free_port(), TempDir::new().unwrap());
        let file = folder.path().join("sentinel.conf");
        let place = folder.path().display();
        let text = format!("port {port}\nbind 127.0.0.1\ndir {place}\n{settings}");
        std::fs::write(&file, text).unwrap();
        let mut server = Self {
            port,
            folder,
            options: vec![file.display().to_string(), "--sentinel".to_owned()],
            child: None,
        };
        server.start_again().await;
        server
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts on the same port, with what the folder holds.
    pub async fn start_again(&mut self) {
        let port = self.port.to_string();
        let folder = self.folder.path().to_str().unwrap();
        let basics = [
            "--port",
            &port,
            "--bind",
            "127.0.0.1",
            "--dir",
            folder,
            "--save",
            "",
        ];
        let is_sentinel = self.options.iter().any(|option| option == "--sentinel");
        let basics = if is_sentinel { &[][..] } else { &basics };
        let child = Command::new(crate::support::program())
            .args(basics)
            .args(&self.options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..200 {
            if self.cli(&["ping"]).contains("PONG") || self.cli(&["ping"]).contains("NOAUTH") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("Redis does not start");
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.unwrap().success());
    }

    pub fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli")
            .args(["-p", &port])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
