//! A terminal of its own for a command that asks somebody.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tokio::time::Instant;

/// A command, and the other end of its terminal.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    keyboard: File,
    /// All that the terminal has shown.
    pub shown: String,
}

impl Terminal {
    /// Starts a command whose terminal this is, by `setsid` of util-linux.
    pub fn start(command: &Command) -> Terminal {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&keyboard).expect("grantpt");
        unlockpt(&keyboard).expect("unlockpt");
        let name = ptsname(&keyboard, Vec::new())
            .expect("ptsname")
            .into_string()
            .expect("UTF-8");
        let screen = File::options()
            .read(true)
            .write(true)
            .open(name)
            .expect("open the terminal");
        let mut started = Command::new("setsid");
        started
            .args(["--ctty", "--wait"])
            .arg(command.get_program())
            .args(command.get_args());
        started.env_clear().envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        if let Some(folder) = command.get_current_dir() {
            started.current_dir(folder);
        }
        started
            .stdin(screen.try_clone().expect("clone"))
            .stdout(screen.try_clone().expect("clone"))
            .stderr(screen);
        let child = started.spawn().expect("start setsid (util-linux)");
        Terminal {
            child,
            keyboard: keyboard.into(),
            shown: String::new(),
        }
    }

    /// Types a line as soon as the command has shown this prompt and does not show any more what is typed.
    pub fn answer_unseen(&mut self, prompt: &str, line: &str) {
        while !self.shown.ends_with(prompt) {
            let mut byte = [0];
            let read = self.keyboard.read(&mut byte);
            assert!(matches!(read, Ok(1)), "no {prompt:?} in {:?}", self.shown);
            self.shown.push(char::from(byte[0]));
        }
        let began = Instant::now();
        while tcgetattr(&self.keyboard)
            .expect("tcgetattr")
            .local_modes
            .contains(LocalModes::ECHO)
        {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "what is typed stays visible"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        writeln!(self.keyboard, "{line}").expect("type");
    }

    /// Waits for the command to end; returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let mut rest = Vec::new();
        // Ends with an error when nobody has the terminal open any more.
        let _ = self.keyboard.read_to_end(&mut rest);
        self.shown.push_str(&String::from_utf8_lossy(&rest));
        self.child.wait().expect("wait").code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
