//! The whole set, written down at most once a second for all who ask for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use countersign_flows::Flows;
use tokio::sync::Mutex;

use super::frames;

/// For how long one is given out, in milliseconds. What has come since is sent behind it.
const LASTS: i64 = 1000;

/// The most that are kept: each may be large, and a slow client takes its time.
const KEPT: usize = 3;

/// While so many are being sent, the last of them is given out for so long, in milliseconds.
const LASTS_IN_A_CROWD: i64 = 60_000;

pub(super) struct Snapshot {
    pub(super) frames: Vec<Bytes>,
    /// The place in the ring from which on frames may be missing in it.
    pub(super) place: u64,
    at: i64,
}

/// The last ones. Clients hold none of them, or as many would be kept as there are slow clients: one whose snapshot is gone before
/// it had all of it begins anew.
#[derive(Default)]
pub(super) struct Snapshots(Mutex<VecDeque<Arc<Snapshot>>>);

impl Snapshots {
    /// One that is fresh enough, and after which nothing is lacking that the ring `reaches` back to. Ten thousand clients that come at
    /// once wait for the one.
    pub(super) async fn get(
        &self,
        flows: &Arc<Flows>,
        place: impl FnOnce() -> u64,
        reaches: impl Fn(u64) -> bool,
    ) -> Option<Weak<Snapshot>> {
        let mut kept = self.0.lock().await;
        let at = now(flows);
        let_go(&mut kept, at);
        let lasts = match kept.len() < KEPT {
            true => LASTS,
            false => LASTS_IN_A_CROWD,
        };
        if let Some(snapshot) = kept.back()
            && at - snapshot.at < lasts
            && reaches(snapshot.place)
        {
            return Some(Arc::downgrade(snapshot));
        }
        // In this order: what is in the ring before the place is in the set as well.
        let place = place();
        let owned = Arc::clone(flows);
        // A set of a million entries takes a second of a core.
        let built = tokio::task::spawn_blocking(move || frames::snapshot(&owned.revoked()));
        // `None`: the runtime is ending. Whoever has no snapshot must not hear a heartbeat.
        let frames = built.await.ok()?;
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        let snapshot = Arc::new(Snapshot { frames, place, at });
        let given = Arc::downgrade(&snapshot);
        kept.push_back(snapshot);
        Some(given)
    }

    /// Lets go of those that nobody needs any more.
    pub(super) fn tidy(&self, now: i64) {
        if let Ok(mut kept) = self.0.try_lock() {
            let_go(&mut kept, now);
        }
    }
}

fn let_go(kept: &mut VecDeque<Arc<Snapshot>>, now: i64) {
    kept.retain(|snapshot| now - snapshot.at < LASTS || Arc::weak_count(snapshot) > 0);
}

/// Milliseconds since the start of the process.
pub(super) fn now(flows: &Flows) -> i64 {
    i64::try_from(flows.elapsed().as_millis()).unwrap_or(i64::MAX)
}
