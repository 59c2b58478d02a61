//! Closed loops: each client sends its next request when the last one was answered. Only what is measured in a flood
//! of sign-ins is sent at fixed times, and its latency counts from the time at which it was due.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figures::Figures;
use crate::process::Memory;
use crate::server::Server;
use crate::work::{Client, Work};

/// Clients that sign in without a pause, in a flood.
const FLOODING: usize = 8;
/// How many requests are sent in a second in a flood, by all clients together.
const PACED_PER_SECOND: u32 = 50;

/// Puts the server under load for `[warm-up, measured]` time.
pub(crate) async fn run(
    server: &Server,
    work: Work,
    connections: usize,
    [warm_up, measured]: [Duration; 2],
) -> Result<Figures> {
    let clients = prepare(server, work, connections).await?;
    let flooding = if work.in_flood() {
        prepare(server, Work::SignIn, FLOODING).await?
    } else {
        Vec::new()
    };
    let from = Instant::now() + warm_up;
    let until = from + measured;
    let mut flood = JoinSet::new();
    for client in flooding {
        flood.spawn(sign_in_until(client, until));
    }
    let mut working = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        if work.in_flood() {
            let step = Duration::from_secs(1) / PACED_PER_SECOND;
            let first = from + step * u32::try_from(number)?;
            working.spawn(keep_pace(
                client,
                first,
                step * u32::try_from(connections)?,
                until,
            ));
        } else {
            working.spawn(repeat(client, from, until));
        }
    }
    tokio::time::sleep_until(from).await;
    let before = cpu(server)?;
    let mut memory = Memory::default();
    while Instant::now() < until {
        memory = memory.max(server.process().memory()?);
        sleep(Duration::from_millis(200).min(until.saturating_duration_since(Instant::now())))
            .await;
    }
    let after = cpu(server)?;
    let mut latencies = Vec::new();
    while let Some(measured) = working.join_next().await {
        latencies.extend(measured??);
    }
    while let Some(flooded) = flood.join_next().await {
        flooded?;
    }
    latencies.sort_unstable();
    let cpu = [after[0] - before[0], after[1] - before[1]];
    Ok(Figures {
        latencies,
        measured,
        cpu,
        memory,
    })
}

/// A few at a time: the server refuses sign-ins that would have to wait for long.
async fn prepare(server: &Server, work: Work, connections: usize) -> Result<Vec<Client>> {
    let mut preparing = JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..connections {
        if preparing.len() == 4
            && let Some(client) = preparing.join_next().await
        {
            clients.push(client??);
        }
        let address = server.address().to_owned();
        preparing.spawn(async move { Client::prepare(&address, work).await });
    }
    while let Some(client) = preparing.join_next().await {
        clients.push(client??);
    }
    Ok(clients)
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

/// Signs in without a pause. A refusal belongs to a flood; the client tries again.
async fn sign_in_until(mut client: Client, until: Instant) {
    while Instant::now() < until {
        if client.once().await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Sends a request each `step` from `first` on. One that cannot be sent in time, because the answer before it is
/// late, is late itself.
async fn keep_pace(
    mut client: Client,
    first: Instant,
    step: Duration,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = first;
    while due < until {
        tokio::time::sleep_until(due).await;
        client.once().await?;
        latencies.push(due.elapsed());
        due += step;
    }
    Ok(latencies)
}
