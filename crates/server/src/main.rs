//! The `countersign` binary.

use std::process::ExitCode;

use clap::Parser;
use countersign_server::cli::Cli;

fn main() -> ExitCode {
    countersign_server::run(Cli::parse()).into()
}
