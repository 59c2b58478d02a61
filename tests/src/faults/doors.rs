//! The instances as clients see them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use super::ledger::Ledger;

/// What one instance is told, every other honours within this time.
const PROMISED: Duration = Duration::from_secs(1);
/// What a machine that is busy with three instances, a database and the clients may take longer. How long it took is
/// printed.
const BUSY: Duration = Duration::from_secs(1);

/// How long a superseded refresh token still gets its successor, in these campaigns.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// What every client shares.
#[derive(Debug)]
pub(crate) struct Doors {
    doors: Vec<Door>,
    pub(crate) ledger: Ledger,
    /// The clocks of the instances differ: the grace period is longer by as much.
    pub(crate) skewed: AtomicBool,
    /// How often the only clock that there is was set. That shortens or lengthens a grace period that has begun, which
    /// is documented; of several instances it must not.
    pub(crate) steps: AtomicU64,
    /// The longest time after which an ended session was still accepted by another instance that was not cut off.
    latest: Mutex<Duration>,
}

#[derive(Debug)]
struct Door {
    base: Mutex<String>,
    /// It is meant to answer.
    up: AtomicBool,
    /// Since when it can learn what others announce. `None`: it cannot.
    sighted: Mutex<Option<Instant>>,
}

/// What is known about when and where something ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    pub(crate) at: Instant,
    /// The instance that acknowledged it.
    pub(crate) by: usize,
}

impl Doors {
    pub(crate) fn new(bases: Vec<String>) -> Doors {
        let door = |base| Door {
            base: Mutex::new(base),
            up: AtomicBool::new(true),
            sighted: Mutex::new(Some(Instant::now())),
        };
        Doors {
            doors: bases.into_iter().map(door).collect(),
            ledger: Ledger::default(),
            skewed: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            latest: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.doors.len()
    }

    pub(crate) fn url(&self, door: usize, path: &str) -> String {
        format!("{}{path}", self.doors[door].base.lock().expect("door"))
    }

    /// From now on the instance need not answer.
    pub(crate) fn down(&self, door: usize) {
        self.doors[door].up.store(false, Relaxed);
    }

    /// It answers again, here; after a new start that is another port.
    pub(crate) fn up(&self, door: usize, base: &str) {
        base.clone_into(&mut self.doors[door].base.lock().expect("door"));
        self.doors[door].up.store(true, Relaxed);
    }

    pub(crate) fn is_up(&self, door: usize) -> bool {
        self.doors[door].up.load(Relaxed)
    }

    /// From now on the instance cannot learn what others announce.
    pub(crate) fn blind(&self, door: usize) {
        *self.doors[door].sighted.lock().expect("door") = None;
    }

    /// From now on it can again.
    pub(crate) fn sighted(&self, door: usize) {
        let mut sighted = self.doors[door].sighted.lock().expect("door");
        sighted.get_or_insert_with(Instant::now);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }

    pub(crate) fn are_skewed(&self) -> bool {
        self.skewed.load(Relaxed)
    }

    /// An access token of what had ended was accepted by a request that was sent at `sent`. Says so if it must not be.
    pub(crate) fn accepted_after(&self, end: End, door: usize, sent: Instant) -> bool {
        if door == end.by {
            return true;
        }
        let Some(sighted) = *self.doors[door].sighted.lock().expect("door") else {
            return false;
        };
        let late = sent.saturating_duration_since(end.at.max(sighted));
        let mut latest = self.latest.lock().expect("doors");
        *latest = late.max(*latest);
        late > PROMISED + BUSY
    }

    /// The longest time after which another instance still accepted an ended session, since this was last asked.
    pub(crate) fn take_latest(&self) -> Duration {
        std::mem::take(&mut *self.latest.lock().expect("doors"))
    }
}
