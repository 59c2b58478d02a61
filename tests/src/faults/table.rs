//! The table of a campaign.

use std::fmt;
use std::time::Duration;

use super::ledger::Counts;
use super::world::Profile;

#[derive(Debug)]
pub(crate) struct Table {
    profile: Profile,
    rows: Vec<Row>,
}

/// One round.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) faults: Vec<String>,
    pub(crate) counts: Counts,
    /// How long it took until `/readyz` was 503, where it had to be.
    pub(crate) unready: Option<Duration>,
    pub(crate) ready: Option<Duration>,
    /// How long it took until all instances used Redis again, where there is one.
    pub(crate) redis: Option<Option<Duration>>,
    /// How long another instance still accepted what had ended.
    pub(crate) latest: Duration,
}

impl Table {
    pub(crate) fn begin(profile: Profile) -> Table {
        Table {
            profile,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }

    /// How many promises were broken.
    pub(crate) fn broken(&self) -> u64 {
        self.rows.iter().map(|row| row.counts.broken).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault ({}) | requests | failures by kind | honest users signed out | revived | accepted elsewhere for | `/readyz` 503 after | ready again after |{}",
            self.profile.name(),
            if self.profile.has_redis() {
                " Redis in use again after |"
            } else {
                ""
            },
        )?;
        let more = if self.profile.has_redis() { "--:|" } else { "" };
        writeln!(f, "|---|--:|---|--:|--:|--:|--:|--:|{more}")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        let failures = counts
            .failures
            .iter()
            .map(|(kind, count)| format!("{kind}: {count}"));
        let seconds = |time: Option<Duration>, none: &str| {
            time.map_or(none.into(), |time| format!("{:.1} s", time.as_secs_f64()))
        };
        write!(
            f,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            self.faults.join(" + "),
            counts.requests,
            failures.collect::<Vec<_>>().join(", "),
            counts.signed_out,
            counts.revived,
            seconds(Some(self.latest), ""),
            seconds(self.unready, ""),
            seconds(self.ready, "never"),
        )?;
        match self.redis {
            Some(redis) => write!(f, " {} |", seconds(redis, "never")),
            None => Ok(()),
        }
    }
}
