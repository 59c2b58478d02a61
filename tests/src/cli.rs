//! The operator's commands, run on the folder and the database of a server.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use std::sync::mpsc::RecvTimeoutError;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::server::Server;

/// A command that has not ended by then is killed.
const LONGEST: Duration = Duration::from_secs(60);

/// How a command ended.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Runs `countersign ARGUMENTS`.
    pub fn cli(&self, arguments: &[&str]) -> Outcome {
        self.cli_with_input(arguments, "")
    }

    /// Runs `countersign ARGUMENTS` with this standard input.
    pub fn cli_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("start the command");
        // It may end without having read anything, which is for the test to judge by the exit code.
        let _ = child
            .stdin
            .take()
            .expect("piped")
            .write_all(input.as_bytes());
        let pid = Pid::from_child(&child);
        let (ended, watch) = std::sync::mpsc::channel::<()>();
        let watchdog = std::thread::spawn(move || {
            // Not waited for by anybody yet, so the id still belongs to the command.
            if watch.recv_timeout(LONGEST) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        let output = child.wait_with_output().expect("output");
        drop(ended);
        watchdog.join().expect("watchdog");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Outcome {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Outcome {
    /// Panics unless the command ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Outcome {
        assert_eq!(
            self.code,
            Some(code),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// The standard output of a command that ended well, as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let outcome = self.expect(0);
        serde_json::from_str(&outcome.stdout)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", outcome.stdout))
    }
}
