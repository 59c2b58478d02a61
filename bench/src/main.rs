//! Starts the server, puts it under load, and prints what it did: see `README.md`.

mod connection;
mod figures;
mod load;
mod machine;
mod process;
mod refreshes;
mod refusal;
mod script;
mod server;
mod statistics;
mod subscribers;
mod timing;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;

use crate::figures::Table;
use crate::server::{Backend, Server};
use crate::work::Work;

const DEFAULT_WORK: [&str; 7] = [
    "healthz",
    "register",
    "sign-in",
    "refresh",
    "me",
    "refresh-in-flood",
    "me-in-flood",
];

/// Measures the server over loopback, one kind of request after the other.
#[derive(Debug, Parser)]
struct Arguments {
    /// The binary to measure.
    #[arg(long, default_value = "target/release/countersign")]
    binary: PathBuf,
    /// What to measure on; PostgreSQL and Redis are those that COUNTERSIGN_TEST_POSTGRES and COUNTERSIGN_TEST_REDIS name.
    #[arg(long, value_enum, default_values = ["sqlite", "postgres", "postgres+redis"])]
    backend: Vec<Backend>,
    /// The kinds of request.
    #[arg(long, value_enum, default_values = DEFAULT_WORK)]
    work: Vec<Work>,
    /// Measured seconds for each kind of request.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Seconds of the same load before that.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    warm_up: u64,
    /// Connections; half as many for requests that hash a password, and 4 within a flood.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1000))]
    connections: u16,
    /// `BCRYPT_ROUNDS` of the server.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u8).range(4..=14))]
    rounds: u8,
    /// `HASH_LANES` of the server.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u8).range(1..=6))]
    lanes: u8,
    /// Instead of all that: so many failed sign-ins of each kind in turns, and whether their times can be told apart.
    #[arg(long, value_parser = clap::value_parser!(u32).range(50..=1_000_000))]
    timing: Option<u32>,
    /// Instead of all that: so many followers of the feed of revocations, what they cost, and how soon they are told.
    #[arg(long, conflicts_with = "timing", value_parser = clap::value_parser!(u32).range(1..=25_000))]
    subscribers: Option<u32>,
    /// Instead of all that: so many rounds of `/healthz` and refresh in turns on each backend, and the bare script.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100), conflicts_with_all = ["timing", "subscribers"])]
    refreshes: Option<u16>,
    /// Sessions of each connection there.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    sessions: u16,
    /// Sign-outs on one of three instances on PostgreSQL, of which the time to the refusal by the others is printed.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(0..=10_000))]
    sign_outs: u16,
    /// Starts of which the median is printed.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    starts: u16,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    println!("{}", machine::describe()?);
    match arguments.timing {
        Some(each) => println!(
            "{each} failed sign-ins of each kind at cost {}\n",
            arguments.rounds
        ),
        None => println!(
            "load and server share this machine; {} s per line after {} s of warm-up\n",
            arguments.seconds, arguments.warm_up
        ),
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        if let Some(rounds) = arguments.refreshes {
            return compare_refreshes(&arguments, rounds).await;
        }
        for backend in &arguments.backend {
            if let Some(count) = arguments.subscribers {
                follow(&arguments, *backend, count as usize).await?;
                continue;
            }
            if let Some(each) = arguments.timing {
                time(&arguments, *backend, each as usize).await?;
                continue;
            }
            measure(&arguments, *backend).await?;
        }
        Ok(())
    })
}

async fn compare_refreshes(arguments: &Arguments, rounds: u16) -> Result<()> {
    refreshes::check()?;
    refreshes::measure(refreshes::Plan {
        binary: &arguments.binary,
        backends: &arguments.backend,
        rounds,
        connections: usize::from(arguments.connections),
        sessions: usize::from(arguments.sessions),
        time: [arguments.warm_up, arguments.seconds].map(Duration::from_secs),
    })
    .await
}

async fn time(arguments: &Arguments, backend: Backend, each: usize) -> Result<()> {
    let Arguments {
        binary,
        rounds,
        lanes,
        ..
    } = arguments;
    let mut server = Server::prepare(binary, backend, *rounds, *lanes).await?;
    server.start().await?;
    println!("{}:\n", backend.name());
    timing::run(&server, each).await?;
    server.stop().await
}

async fn follow(arguments: &Arguments, backend: Backend, count: usize) -> Result<()> {
    let Arguments { binary, lanes, .. } = arguments;
    // Nothing is measured that hashes.
    let mut server = Server::prepare(binary, backend, 4, *lanes).await?;
    println!("{}:\n", backend.name());
    subscribers::run(&mut server, count).await?;
    println!();
    Ok(())
}

async fn measure(arguments: &Arguments, backend: Backend) -> Result<()> {
    let mut ready = Vec::new();
    let mut server = Server::prepare(
        &arguments.binary,
        backend,
        arguments.rounds,
        arguments.lanes,
    )
    .await?;
    // The first start makes the database; the others find it, as after an update.
    let first = server.start().await?;
    for _ in 0..arguments.starts {
        server.stop().await?;
        ready.push(server.start().await?);
    }
    ready.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{}: start to ready {:.0} ms (median of {}, worst {:.0}; {:.0} on an empty database)",
        backend.name(),
        milliseconds(ready[ready.len() / 2]),
        ready.len(),
        milliseconds(ready[ready.len() - 1]),
        milliseconds(first),
    );
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = server.process().memory()?;
    println!(
        "{}: idle, resident {:.1} MiB (proportional {:.1})",
        backend.name(),
        idle.resident,
        idle.proportional
    );

    let mut table = Table::begin();
    for work in &arguments.work {
        let connections = match work {
            work if work.in_flood() => 4,
            work if work.hashes() => arguments.connections / 2,
            _ => arguments.connections,
        };
        let time = [arguments.warm_up, arguments.seconds].map(Duration::from_secs);
        let figures = load::run(&server, *work, usize::from(connections), time).await?;
        table.line(*work, usize::from(connections), &figures);
    }
    if backend.on_postgres() && arguments.sign_outs > 0 {
        refusal::measure(&server, arguments.sign_outs).await?;
    }
    println!();
    server.stop().await
}
