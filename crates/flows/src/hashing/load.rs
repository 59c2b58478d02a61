#![allow(clippy::disallowed_methods, reason = "measures how long hashing takes")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign_domain::password::Scheme;

use super::PoolSettings;

/// How much is being computed and how long it takes: what the wait of a new task is reckoned from.
///
/// A task in a lane takes as long as it would alone, but leaves room for others beside it. So what
/// is counted is time in a slot: a lane where the scheme fills lanes, a whole thread where it does
/// not.
pub(super) struct Load {
    workers: usize,
    slots_per_worker: usize,
    running: AtomicUsize,
    /// Moving average of the slot time that one task takes, in nanoseconds.
    task_nanos: AtomicU64,
    /// The average is of what was measured; before that it is a guess.
    measured: AtomicBool,
}

impl Load {
    pub(super) fn new(settings: &PoolSettings) -> Self {
        Self {
            workers: settings.workers.get(),
            slots_per_worker: match settings.scheme {
                Scheme::Bcrypt { .. } => settings.lanes.get(),
                Scheme::Argon2id { .. } => 1,
            },
            running: AtomicUsize::new(0),
            task_nanos: AtomicU64::new(first_estimate(settings.scheme)),
            measured: AtomicBool::new(false),
        }
    }

    /// How many hashes can be under way at once.
    pub(super) fn slots(&self) -> usize {
        self.workers * self.slots_per_worker
    }

    /// How many are.
    pub(super) fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// How long one hash takes in its slot, as measured so far.
    pub(super) fn pace(&self) -> Duration {
        Duration::from_nanos(self.task_nanos.load(Ordering::Relaxed))
    }

    /// How long all slots together take for so many hashes.
    pub(super) fn time_for(&self, hashes: usize) -> Duration {
        let hashes = u32::try_from(hashes).unwrap_or(u32::MAX);
        self.pace().saturating_mul(hashes) / self.slots() as u32
    }

    fn finished(&self, slot_time: Duration) {
        let took = slot_time.as_nanos() as u64;
        let average = self.task_nanos.load(Ordering::Relaxed);
        // The first measurement takes the place of the guess.
        let next = match self.measured.swap(true, Ordering::Relaxed) {
            true => average - average / 8 + took / 8,
            false => took,
        };
        self.task_nanos.store(next.max(1), Ordering::Relaxed);
        self.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task's time on a worker. Ends when dropped, whatever became of the task.
pub(super) struct Turn {
    load: Arc<Load>,
    began: Instant,
    /// The time of slots that had to stand empty for this task.
    emptied: Duration,
}

impl Turn {
    pub(super) fn begin(load: &Arc<Load>) -> Self {
        load.running.fetch_add(1, Ordering::Relaxed);
        Self {
            load: Arc::clone(load),
            began: Instant::now(),
            emptied: Duration::ZERO,
        }
    }

    /// The task had the thread for itself for that long, while so many others stood still in their
    /// slots. Theirs is counted in their own turns.
    pub(super) fn was_alone(&mut self, took: Duration, standing_still: usize) {
        let emptied = (self.load.slots_per_worker - 1).saturating_sub(standing_still);
        self.emptied += took * emptied as u32;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.load.finished(self.began.elapsed() + self.emptied);
    }
}

/// What one hash may take before any was measured.
fn first_estimate(scheme: Scheme) -> u64 {
    match scheme {
        // About 55 microseconds per iteration of the key schedule on a server core, in a lane or
        // alone.
        Scheme::Bcrypt { cost } => 55_000_u64 << cost.min(31),
        Scheme::Argon2id { .. } => 50_000_000,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn load(scheme: Scheme, workers: usize, lanes: usize) -> Arc<Load> {
        Arc::new(Load::new(&PoolSettings {
            scheme,
            workers: NonZeroUsize::new(workers).unwrap(),
            lanes: NonZeroUsize::new(lanes).unwrap(),
            longest_wait: Duration::ZERO,
        }))
    }

    /// As after many tasks of that slot time.
    fn learn(load: &Arc<Load>, slot_time: Duration) {
        for _ in 0..200 {
            load.running.fetch_add(1, Ordering::Relaxed);
            load.finished(slot_time);
        }
    }

    fn assert_close(wait: Duration, expected: Duration) {
        let difference = wait.abs_diff(expected);
        assert!(difference < MILLI, "{wait:?} is not {expected:?}");
    }

    #[test]
    fn every_lane_is_a_slot_and_every_turn_ends() {
        let load = load(Scheme::Bcrypt { cost: 12 }, 2, 4);
        assert_eq!(load.slots(), 8);
        let turns: Vec<_> = (0..7).map(|_| Turn::begin(&load)).collect();
        assert_eq!(load.running(), 7);
        drop(turns);
        assert_eq!(load.running(), 0);
    }

    /// Eight tasks of 200 ms end every 200 ms, so the 80th of those that wait begins after two seconds.
    #[test]
    fn the_wait_follows_from_the_time_in_a_lane_and_the_number_of_lanes() {
        let load = load(Scheme::Bcrypt { cost: 12 }, 2, 4);
        learn(&load, MILLI * 200);
        assert_close(load.time_for(80), MILLI * 2_000);
    }

    #[test]
    fn without_lanes_a_task_has_the_whole_thread() {
        let load = load(Scheme::Bcrypt { cost: 12 }, 2, 1);
        learn(&load, MILLI * 200);
        assert_close(load.time_for(20), MILLI * 2_000);
    }

    #[test]
    fn argon2id_has_the_whole_thread_whatever_the_lanes() {
        let load = load(Scheme::ARGON2ID, 2, 4);
        let mut turn = Turn::begin(&load);
        turn.was_alone(MILLI * 40, 0);
        assert_eq!(turn.emptied, Duration::ZERO);
        drop(turn);
        learn(&load, MILLI * 40);
        assert_close(load.time_for(100), MILLI * 2_000);
    }

    /// One that stops the lanes counts for the lanes that could not be filled meanwhile.
    #[test]
    fn a_foreign_hash_counts_for_the_lanes_it_keeps_empty() {
        let load = load(Scheme::Bcrypt { cost: 12 }, 1, 4);
        let mut turn = Turn::begin(&load);
        turn.was_alone(MILLI * 40, 1);
        assert_eq!(turn.emptied, MILLI * 80);
        turn.was_alone(MILLI * 10, 6);
        assert_eq!(turn.emptied, MILLI * 80);
    }
}
