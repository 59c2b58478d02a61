//! Closed loops: each client sends its next request when the last one was answered. Only what is measured in a flood
//! of sign-ins is sent at fixed times, and its latency counts from the time at which it was due.

use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::figures::Figures;
use crate::process::Memory;
use crate::server::Server;
use crate::work::{Client, Stranger, Work};

/// How many strangers try passwords in a flood. More than find room in the server's queue, so that enough of them are
/// free to come when they are due.
const STRANGERS: u32 = 160;
/// How many times what two cores can hash they offer.
const TIMES_CAPACITY: f64 = 10.0;
/// What one hash takes at cost 12, about.
const COST_12: f64 = 0.23;
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
    let strangers = if work.in_flood() { STRANGERS } else { 0 };
    let mut flooding = Vec::new();
    for number in 0..strangers {
        flooding.push(Stranger::prepare(server.address(), number).await?);
    }
    let offered = TIMES_CAPACITY * 2.0 / (COST_12 * 2_f64.powi(i32::from(server.rounds()) - 12));
    let pause = Duration::from_secs_f64(1.0 / offered);
    let from = Instant::now() + warm_up;
    let until = from + measured;
    let mut flood = JoinSet::new();
    for (number, stranger) in (0..).zip(flooding) {
        let first = from - warm_up + pause * number;
        flood.spawn(come_again(stranger, first, pause * STRANGERS, until));
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
        flooded??;
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

/// Tries a password each `step` from `first` on, or as soon as the last one was answered.
async fn come_again(
    mut stranger: Stranger,
    first: Instant,
    step: Duration,
    until: Instant,
) -> Result<()> {
    let mut due = first;
    while due < until {
        tokio::time::sleep_until(due).await;
        stranger.once().await?;
        due = (due + step).max(Instant::now());
    }
    Ok(())
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
