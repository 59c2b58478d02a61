//! What was measured, as lines of a table.

use std::time::Duration;

use crate::process::{Cpu, Memory};
use crate::work::Work;

/// The figures of one kind of request.
#[derive(Debug)]
pub(crate) struct Figures {
    /// Of every answer in the measured time, least first.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) measured: Duration,
    /// How many were answered in all, also before the measured time.
    pub(crate) answers: usize,
    /// What all of them took, with what was left for later.
    pub(crate) cpu: Cpu,
    /// For how long after the last answer there was still something to be done.
    pub(crate) behind: Duration,
    /// The greatest that was seen.
    pub(crate) memory: Memory,
}

impl Figures {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.measured.as_secs_f64()
    }
}

/// A table that is printed while it grows.
#[derive(Debug)]
pub(crate) struct Table;

impl Table {
    pub(crate) fn begin() -> Table {
        println!(
            "| request | connections | per second | p50 ms | p99 ms | p99.9 ms | server CPU µs | with Redis | with database | RSS MiB | PSS MiB |"
        );
        println!("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
        Table
    }

    pub(crate) fn line(&mut self, work: Work, connections: usize, figures: &Figures) {
        let count = figures.latencies.len();
        if count == 0 {
            println!("| {} | {connections} | 0 | | | | | | | | |", work.name());
            return;
        }
        let [p50, p99, p999] = [50.0, 99.0, 99.9]
            .map(|percent| percentile(&figures.latencies, percent).as_secs_f64() * 1e3);
        // In a flood nearly all of it is the flood's.
        let each = figures.cpu.for_each(figures.answers);
        let [own, with_redis, all] = each.map(|microseconds| match work.in_flood() {
            true => "–".to_owned(),
            false => format!("{microseconds:.1}"),
        });
        println!(
            "| {} | {connections} | {:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {own} | {with_redis} | {all} | {:.1} | {:.1} |",
            work.name(),
            figures.per_second(),
            figures.memory.resident,
            figures.memory.proportional,
        );
    }
}

/// The latency that this many per cent of the requests did not exceed. `sorted` is not empty.
pub(crate) fn percentile(sorted: &[Duration], percent: f64) -> Duration {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        for (percent, milliseconds) in [
            (50.0, 100),
            (99.0, 198),
            (99.9, 200),
            (0.0, 1),
            (100.0, 200),
        ] {
            assert_eq!(
                percentile(&sorted, percent),
                Duration::from_millis(milliseconds),
                "{percent}"
            );
        }
        assert_eq!(percentile(&sorted[..1], 99.0), Duration::from_millis(1));
    }
}
