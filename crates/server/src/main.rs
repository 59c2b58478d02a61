//! The `countersign` binary.

use std::process::ExitCode;

use clap::Parser;
use countersign_server::cli::Cli;

// Requests are answered by threads that free what others allocated. The C library's allocator makes them wait for each
// other: a sixth of a refresh.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    countersign_server::run(Cli::parse()).into()
}
