//! The `countersign` binary's parts: settings, wiring and operator commands.

#![warn(missing_docs)]

pub mod cli;
pub mod commands;
pub mod data_dir;
pub mod exit;
pub mod settings;

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use cli::{Cli, Command};
use exit::Exit;
use settings::Sources;

/// Runs the command line in the working directory.
pub fn run(cli: Cli) -> Exit {
    let (mut out, mut err) = (io::stdout().lock(), io::stderr().lock());
    let done = match &cli.command {
        Command::Config(command) => {
            let sources = Sources::read(Path::new("."), cli.config);
            commands::config::run(command, cli.json, sources, &mut out, &mut err)
        }
    };
    match done.and_then(|exit| out.flush().map(|()| exit)) {
        Ok(exit) => exit,
        // Whoever read the output has seen enough, as in `countersign config show | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::Ok,
        Err(error) => {
            let _ = writeln!(err, "error: cannot print ({error})");
            Exit::Failure
        }
    }
}
