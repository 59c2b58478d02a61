//! The operator's commands, run on the folder and the database of a server.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;

use crate::server::Server;

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
        let output = child.wait_with_output().expect("output");
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
