//! CPU time and memory of a process, from `/proc`.

use std::time::Duration;

use anyhow::{Context, Result};

/// A process that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

/// Memory in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// RSS: all pages in memory, also those of shared libraries.
    pub(crate) resident: f64,
    /// PSS: a page that n processes share counts as 1/n.
    pub(crate) proportional: f64,
}

impl Memory {
    /// The greater of each.
    pub(crate) fn max(self, other: Memory) -> Memory {
        Memory {
            resident: self.resident.max(other.resident),
            proportional: self.proportional.max(other.proportional),
        }
    }
}

/// CPU time of what works together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) redis: Duration,
    pub(crate) database: Duration,
}

impl Cpu {
    pub(crate) fn since(self, before: Cpu) -> Cpu {
        Cpu {
            server: self.server.saturating_sub(before.server),
            redis: self.redis.saturating_sub(before.redis),
            // A child that has ended takes its time with it.
            database: self.database.saturating_sub(before.database),
        }
    }

    pub(crate) fn sum(self) -> Duration {
        self.server + self.redis + self.database
    }

    /// Microseconds for each of so many: of the server, with Redis, and with the database too.
    pub(crate) fn for_each(self, count: usize) -> [f64; 3] {
        let with_redis = self.server + self.redis;
        [self.server, with_redis, self.sum()].map(|time| time.as_secs_f64() * 1e6 / count as f64)
    }
}

impl Process {
    /// CPU time of all its threads so far, in user and kernel mode.
    pub(crate) fn cpu(self) -> Result<Duration> {
        // `USER_HZ` is 100 on every Linux that Rust supports.
        const TICK: Duration = Duration::from_millis(10);
        let (_, ticks) = self.stat()?;
        Ok(TICK * ticks)
    }

    /// CPU time of it and of its living children.
    pub(crate) fn cpu_with_children(self) -> Result<Duration> {
        let mut sum = self.cpu()?;
        for entry in std::fs::read_dir("/proc")? {
            let Some(pid) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // A process may end while the list is read.
            if let Ok((parent, _)) = Process(pid).stat()
                && parent == self.0
            {
                sum += Process(pid).cpu().unwrap_or_default();
            }
        }
        Ok(sum)
    }

    /// Memory at this moment.
    pub(crate) fn memory(self) -> Result<Memory> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let mebibytes = |name: &str| -> Result<f64> {
            let line = rollup
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .context("a line of smaps_rollup")?;
            let kilobytes: f64 = line
                .split_whitespace()
                .next()
                .context("a figure")?
                .parse()?;
            Ok(kilobytes / 1024.0)
        };
        Ok(Memory {
            resident: mebibytes("Rss:")?,
            proportional: mebibytes("Pss:")?,
        })
    }

    /// Parent and ticks of CPU time.
    fn stat(self) -> Result<(u32, u32)> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name of the process stands in parentheses and may hold anything.
        let (_, rest) = stat.rsplit_once(") ").context("a name in parentheses")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| -> Result<u32> {
            Ok(fields.get(index).context("a field of stat")?.parse()?)
        };
        Ok((number(1)?, number(11)? + number(12)?))
    }
}
