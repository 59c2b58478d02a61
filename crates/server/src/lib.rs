//! The `countersign` binary's parts: settings, wiring and operator commands.

#![warn(missing_docs)]

pub mod app;
pub mod cli;
pub mod commands;
pub mod data_dir;
mod descriptors;
pub mod exit;
mod failure;
mod logging;
mod operator;
mod output;
mod process;
pub mod settings;
#[cfg_attr(not(feature = "otel"), path = "no_traces.rs")]
mod traces;

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use cli::Cli;
use commands::Output;
use exit::Exit;
pub use failure::Failure;
use settings::Sources;

/// Runs the command line in the working directory.
pub fn run(cli: Cli) -> Exit {
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut output = Output {
        out: &mut out,
        err: &mut err,
        json: cli.json,
    };
    let config = cli.config;
    let done = commands::run(cli.command, &mut output, || {
        Sources::read(Path::new("."), config)
    });
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
