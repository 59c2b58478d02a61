//! Figures about the process, by the names that Prometheus' own client libraries use.
//!
//! Read from `/proc` as Linux has it; on other systems they are missing.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// This process.
#[derive(Debug)]
pub(crate) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut put = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let stat = fs::read_to_string("/proc/self/stat").ok();
        if let Some(stat) = stat.as_deref().and_then(Stat::read) {
            let ticks = clock_ticks_per_second() as f64;
            put(
                "process_cpu_seconds",
                "User and system CPU time",
                &ConstCounter::new(stat.cpu_ticks as f64 / ticks),
            )?;
            put(
                "process_resident_memory_bytes",
                "Resident memory",
                &ConstGauge::new(stat.resident_pages * page_size() as u64),
            )?;
            if let Some(booted) = booted_at() {
                put(
                    "process_start_time_seconds",
                    "When the process began, in seconds since 1970",
                    &ConstGauge::new(booted as f64 + stat.started_ticks as f64 / ticks),
                )?;
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The listing itself holds one open.
            let open = open.count().saturating_sub(1) as u64;
            put(
                "process_open_fds",
                "Open file descriptors",
                &ConstGauge::new(open),
            )?;
        }
        if let Some(most) = getrlimit(Resource::Nofile).current {
            put(
                "process_max_fds",
                "How many file descriptors may be open",
                &ConstGauge::new(most),
            )?;
        }
        Ok(())
    }
}

/// Of `/proc/PID/stat`, see proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    /// After the machine's start.
    started_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Self> {
        // The second field is the name in parentheses, and may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // `rest` begins with the third field.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            started_ticks: field(22)?,
            resident_pages: field(24)?,
        })
    }
}

/// When the machine began, in seconds since 1970.
fn booted_at() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let text = "4711 (a) 1 (b) S 1 4711 4711 0 -1 4194560 100 0 0 0 12 30 0 0 20 0 9 0 5555 1000000 777 \
                    18446744073709551615 1 1 0";
        let stat = Stat {
            cpu_ticks: 42,
            started_ticks: 5555,
            resident_pages: 777,
        };
        assert_eq!(Stat::read(text), Some(stat));
        assert_eq!(Stat::read("4711 (a) S 1"), None);
    }
}
