//! `countersign-next`: the server as its next version could be. It has one more migration, which serves this version, and
//! announces something that this version does not know, in the database and in Redis. The tests of upgrades run it beside
//! `countersign`; nobody else should.

use std::process::ExitCode;

use clap::Parser;
use countersign_server::cli::Cli;

fn main() -> ExitCode {
    countersign_store_sql::rehearsal::begin();
    countersign_store_redis::rehearsal::begin();
    countersign_server::run(Cli::parse()).into()
}
