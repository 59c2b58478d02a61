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
    time: [Duration; 2],
) -> Result<Figures> {
    let mut clients = prepare(server, work, connections).await?;
    run_with(server, work, &mut clients, time).await
}

/// The same with clients that are there already, and stay.
pub(crate) async fn run_with(
    server: &Server,
    work: Work,
    clients: &mut Vec<Client>,
    [warm_up, measured]: [Duration; 2],
) -> Result<Figures> {
    let connections = clients.len();
    let strangers = if work.in_flood() { STRANGERS } else { 0 };
    let mut flooding = Vec::new();
    for number in 0..strangers {
        flooding.push(Stranger::prepare(server.address(), number).await?);
    }
    let offered = TIMES_CAPACITY * 2.0 / (COST_12 * 2_f64.powi(i32::from(server.rounds()) - 12));
    let pause = Duration::from_secs_f64(1.0 / offered);
    let before = server.cpu()?;
    let from = Instant::now() + warm_up;
    let until = from + measured;
    let mut flood = JoinSet::new();
    for (number, stranger) in (0..).zip(flooding) {
        let first = from - warm_up + pause * number;
        flood.spawn(come_again(stranger, first, pause * STRANGERS, until));
    }
    let mut working = JoinSet::new();
    for (number, client) in std::mem::take(clients).into_iter().enumerate() {
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
    let mut memory = Memory::default();
    while Instant::now() < until {
        memory = memory.max(server.process().memory()?);
        sleep(Duration::from_millis(200).min(until.saturating_duration_since(Instant::now())))
            .await;
    }
    let mut latencies = Vec::new();
    let mut answers = 0;
    while let Some(measured) = working.join_next().await {
        let (client, seen) = measured??;
        clients.push(client);
        answers += seen.answers;
        latencies.extend(seen.latencies);
    }
    while let Some(flooded) = flood.join_next().await {
        flooded??;
    }
    latencies.sort_unstable();
    let behind = rest(server).await?;
    Ok(Figures {
        latencies,
        measured,
        answers,
        cpu: server.cpu()?.since(before),
        behind,
        memory,
    })
}

/// Waits until the server, Redis and the database have done what was left for later, and returns how long that took.
async fn rest(server: &Server) -> Result<Duration> {
    const LOOK: Duration = Duration::from_millis(500);
    // What idle ones take stays below that.
    const IDLE: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_secs(60);
    let began = Instant::now();
    let mut before = server.cpu()?;
    loop {
        let looked = began.elapsed();
        sleep(LOOK).await;
        let now = server.cpu()?;
        if now.since(before).sum() <= IDLE || looked > LONGEST {
            return Ok(looked);
        }
        before = now;
    }
}

/// A few at a time: the server refuses sign-ins that would have to wait for long.
pub(crate) async fn prepare(
    server: &Server,
    work: Work,
    connections: usize,
) -> Result<Vec<Client>> {
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

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Of the requests that were answered in the measured time.
    latencies: Vec<Duration>,
    /// All answers, also before the measured time.
    answers: usize,
}

/// Asks again as soon as it was answered.
async fn repeat(mut client: Client, from: Instant, until: Instant) -> Result<(Client, Seen)> {
    let mut seen = Seen::default();
    loop {
        let began = Instant::now();
        if began >= until {
            return Ok((client, seen));
        }
        client.once().await?;
        seen.answers += 1;
        let now = Instant::now();
        if now >= from && now < until {
            seen.latencies.push(now - began);
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
) -> Result<(Client, Seen)> {
    let mut seen = Seen::default();
    let mut due = first;
    while due < until {
        tokio::time::sleep_until(due).await;
        client.once().await?;
        seen.answers += 1;
        seen.latencies.push(due.elapsed());
        due += step;
    }
    Ok((client, seen))
}
