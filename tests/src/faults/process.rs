//! What a process holds, from `/proc`.

use std::fs;

/// Memory and descriptors of one process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Holds {
    /// Resident, in MiB.
    pub(crate) memory: u64,
    pub(crate) descriptors: u64,
}

impl Holds {
    pub(crate) fn of(pid: u32) -> Holds {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("/proc");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("VmRSS");
        let kib = resident.trim().trim_end_matches("kB").trim();
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("/proc")
            .count();
        Holds {
            memory: kib.parse::<u64>().expect("a number") / 1024,
            descriptors: descriptors as u64,
        }
    }

    pub(crate) fn max(self, other: Holds) -> Holds {
        Holds {
            memory: self.memory.max(other.memory),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}
