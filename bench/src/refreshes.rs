//! What a refresh costs on each backend, beside `/healthz` of the same server in the same run, and the bare script.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use crate::figures::{Figures, percentile};
use crate::load;
use crate::script;
use crate::server::{Backend, Server};
use crate::statistics::median;
use crate::work::{Client, Work};

/// What is measured in turns: a backend, and whether refreshes are audited.
const TURNS: [(Backend, bool); 5] = [
    (Backend::Sqlite, true),
    (Backend::Postgres, true),
    (Backend::PostgresRedis, true),
    (Backend::PostgresRedis, false),
    (Backend::SqliteRedis, true),
];

/// Nobody's password matters here, and hashing it takes no part.
const HASH_ROUNDS: u8 = 4;

/// How it is measured.
pub(crate) struct Plan<'a> {
    pub(crate) binary: &'a Path,
    pub(crate) backends: &'a [Backend],
    pub(crate) rounds: u16,
    pub(crate) connections: usize,
    /// Of each connection.
    pub(crate) sessions: usize,
    /// Warm-up and measured.
    pub(crate) time: [Duration; 2],
}

struct Turn {
    name: String,
    server: Server,
    clients: Vec<Client>,
    healthz: Vec<Figures>,
    refresh: Vec<Figures>,
}

impl Turn {
    /// Starts the server, and measures once.
    async fn round(&mut self, plan: &Plan<'_>) -> Result<()> {
        let server = &mut self.server;
        server.start().await?;
        let healthz = load::run(server, Work::Healthz, plan.connections, plan.time).await?;
        self.healthz.push(healthz);
        if self.clients.is_empty() {
            self.clients = load::prepare(server, Work::Refresh, plan.connections).await?;
            for client in &mut self.clients {
                client.open_sessions(plan.sessions).await?;
            }
        }
        let mut seating = JoinSet::new();
        for mut client in self.clients.drain(..) {
            let address = server.address().to_owned();
            seating.spawn(async move {
                client.reconnect(&address).await?;
                // Where a new epoch began meanwhile, every session has to come back to Redis first, which takes half a
                // second each.
                for _ in 0..client.sessions() {
                    client.once().await?;
                }
                anyhow::Ok(client)
            });
        }
        while let Some(client) = seating.join_next().await {
            self.clients.push(client??);
        }
        let refresh = load::run_with(server, Work::Refresh, &mut self.clients, plan.time).await?;
        self.refresh.push(refresh);
        Ok(())
    }
}

/// Measures in turns, and prints a table of medians.
pub(crate) async fn measure(plan: Plan<'_>) -> Result<()> {
    let mut turns = Vec::new();
    for (backend, audited) in TURNS {
        if !plan.backends.contains(&backend) {
            continue;
        }
        let mut server = Server::prepare(plan.binary, backend, HASH_ROUNDS, 1).await?;
        let mut name = backend.name().to_owned();
        if !audited {
            server.leave_refreshes_out();
            name.push_str(", refreshes not audited");
        }
        turns.push(Turn {
            name,
            server,
            clients: Vec::new(),
            healthz: Vec::new(),
            refresh: Vec::new(),
        });
    }
    let mut bare = None;
    for round in 1..=plan.rounds {
        for turn in &mut turns {
            turn.round(&plan).await?;
            // Needs a server that refreshes in Redis, and fills that.
            if round == plan.rounds && turn.server.redis().is_some() && bare.is_none() {
                bare = Some(script::measure(&turn.server).await?);
            }
            turn.server.stop().await?;
            eprintln!("round {round} of {}: {}", plan.rounds, turn.name);
        }
    }
    println!(
        "{} connections, each with {} sessions that it refreshes in turns; medians of {} rounds. The CPU is that of all answers, with what was written after the last one:\n",
        plan.connections, plan.sessions, plan.rounds
    );
    print(&turns);
    for line in bare.unwrap_or_default() {
        println!("{line}");
    }
    Ok(())
}

fn print(turns: &[Turn]) {
    println!(
        "| server | request | per second (least–most) | p50 ms | p99 ms | server CPU µs (least–most) | with Redis | with database | of `/healthz` | written after s |"
    );
    println!("| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |");
    for turn in turns {
        let healthz = of_each(&turn.healthz, Figures::per_second);
        for (request, figures) in [("`/healthz`", &turn.healthz), ("refresh", &turn.refresh)] {
            let per_second = of_each(figures, Figures::per_second);
            let shares: Vec<_> = per_second
                .iter()
                .zip(&healthz)
                .map(|(a, b)| a / b)
                .collect();
            let [p50, p99] = [50.0, 99.0].map(|percent| {
                let of = |figures: &Figures| percentile(&figures.latencies, percent);
                median(&of_each(figures, |figures| of(figures).as_secs_f64() * 1e3))
            });
            let cpu = |column: usize| {
                of_each(figures, |figures| {
                    let each = figures.cpu.for_each(figures.answers);
                    each.get(column).copied().unwrap_or_default()
                })
            };
            println!(
                "| {} | {request} | {} | {p50:.2} | {p99:.2} | {} | {:.1} | {:.1} | {:.0} % | {:.1} |",
                turn.name,
                spread(&per_second, 0),
                spread(&cpu(0), 1),
                median(&cpu(1)),
                median(&cpu(2)),
                median(&shares) * 100.0,
                median(&of_each(figures, |figures| figures.behind.as_secs_f64())),
            );
        }
    }
    println!();
}

fn of_each(figures: &[Figures], value: impl Fn(&Figures) -> f64) -> Vec<f64> {
    figures.iter().map(value).collect()
}

/// The median, and the least and the greatest.
pub(crate) fn spread(sample: &[f64], digits: usize) -> String {
    let least = sample.iter().copied().fold(f64::INFINITY, f64::min);
    let most = sample.iter().copied().fold(0.0, f64::max);
    let middle = median(sample);
    format!("{middle:.digits$} ({least:.digits$}–{most:.digits$})")
}

/// That the bare script can be measured, before anything else is.
pub(crate) fn check() -> Result<()> {
    script::version().context("`redis-benchmark` is not installed; on Debian: redis-tools")?;
    Ok(())
}
