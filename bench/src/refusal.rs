//! How long after a sign-out was answered by one instance the others still accept the session, while all are refreshing.

use std::time::Duration;

use anyhow::{Result, ensure};
use http::StatusCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::figures::percentile;
use crate::server::Server;
use crate::work::{Client, Work};

const OTHERS: usize = 2;
/// Clients for each instance that refresh without a pause.
const REFRESHING: usize = 4;
/// Nobody waits longer for a refusal.
const LONGEST: Duration = Duration::from_secs(10);

/// Signs out so often on `first`, with two instances more beside it, and prints a line.
pub(crate) async fn measure(first: &Server, sign_outs: u16) -> Result<()> {
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let mut other = first.sibling()?;
        other.start().await?;
        others.push(other);
    }
    let mut refreshing = JoinSet::new();
    for server in others.iter().chain([first]) {
        for _ in 0..REFRESHING {
            let mut client = Client::prepare(server.address(), Work::Refresh).await?;
            refreshing.spawn(async move {
                let mut count = 0_u64;
                // Ends with the set.
                while client.once().await.is_ok() {
                    count += 1;
                }
                count
            });
        }
    }
    let mut latencies = Vec::new();
    let mut user = Client::prepare(first.address(), Work::Me).await?;
    for _ in 0..sign_outs {
        user.sign_in().await?;
        let mut asking = JoinSet::new();
        for other in &others {
            let mut visitor = user.at(other.address()).await?;
            ensure!(
                visitor.me().await? == StatusCode::OK,
                "refused before the sign-out"
            );
            asking.spawn(async move {
                let began = Instant::now();
                // What was sent before the acknowledgement may be accepted, so the last such request counts.
                let mut accepted = began;
                loop {
                    let sent = Instant::now();
                    match visitor.me().await? {
                        StatusCode::OK => accepted = sent,
                        StatusCode::UNAUTHORIZED => return anyhow::Ok(accepted),
                        other => anyhow::bail!("answered {other}"),
                    }
                    ensure!(began.elapsed() < LONGEST, "still accepted");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
        }
        user.sign_out().await?;
        let acknowledged = Instant::now();
        while let Some(accepted) = asking.join_next().await {
            latencies.push(accepted??.saturating_duration_since(acknowledged));
        }
    }
    ensure!(
        refreshing.try_join_next().is_none(),
        "a client that refreshes has failed"
    );
    latencies.sort_unstable();
    let [p50, p99, most] =
        [50.0, 99.0, 100.0].map(|p| percentile(&latencies, p).as_secs_f64() * 1e3);
    println!(
        "sign-out to refusal on {OTHERS} other instances, {} clients refreshing: p50 {p50:.0} ms, p99 {p99:.0} ms, longest {most:.0} ms ({} samples)",
        REFRESHING * (OTHERS + 1),
        latencies.len(),
    );
    refreshing.shutdown().await;
    for mut other in others {
        other.stop().await?;
    }
    Ok(())
}
