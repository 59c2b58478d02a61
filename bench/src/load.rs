//! A closed loop: each client sends its next request when the last one was answered.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figures::Figures;
use crate::process::Memory;
use crate::server::Server;
use crate::work::{Client, Work};

/// Puts the server under load for `[warm-up, measured]` time.
pub(crate) async fn run(
    server: &Server,
    work: Work,
    connections: usize,
    [warm_up, measured]: [Duration; 2],
) -> Result<Figures> {
    let mut preparing = JoinSet::new();
    for _ in 0..connections {
        let address = server.address().to_owned();
        preparing.spawn(async move { Client::prepare(&address, work).await });
    }
    let mut clients = Vec::new();
    while let Some(client) = preparing.join_next().await {
        clients.push(client??);
    }

    let from = Instant::now() + warm_up;
    let until = from + measured;
    let mut working = JoinSet::new();
    for client in clients {
        working.spawn(repeat(client, from, until));
    }
    tokio::time::sleep_until(from).await;
    let cpu = cpu(server)?;
    let mut memory = Memory::default();
    while Instant::now() < until {
        memory = memory.max(server.process().memory()?);
        sleep(Duration::from_millis(200).min(until - Instant::now())).await;
    }
    let after = self::cpu(server)?;
    let mut latencies = Vec::new();
    while let Some(measured) = working.join_next().await {
        latencies.extend(measured??);
    }
    latencies.sort_unstable();
    let cpu = [after[0] - cpu[0], after[1] - cpu[1]];
    Ok(Figures {
        latencies,
        measured,
        cpu,
        memory,
    })
}

/// CPU time of the server, and of it and its database.
fn cpu(server: &Server) -> Result<[Duration; 2]> {
    let own = server.process().cpu()?;
    let database = server
        .database_process()
        .map(|process| process.cpu_with_children())
        .transpose()?;
    Ok([own, own + database.unwrap_or_default()])
}

/// Returns the latencies of the requests that were answered in the measured time.
async fn repeat(mut client: Client, from: Instant, until: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let began = Instant::now();
        if began >= until {
            return Ok(latencies);
        }
        client.once().await?;
        let now = Instant::now();
        if now >= from && now < until {
            latencies.push(now - began);
        }
    }
}
