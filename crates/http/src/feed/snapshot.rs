//! The whole set, written down at most once a second for all who ask for it.

use std::sync::Arc;

use bytes::Bytes;
use countersign_flows::Flows;
use tokio::sync::Mutex;

use super::frames;

/// For how long it is given out, in milliseconds. What has come since is sent behind it.
const LASTS: i64 = 1000;

pub(super) struct Snapshot {
    pub(super) frames: Vec<Bytes>,
    /// The place in the ring from which on frames may be missing in it.
    pub(super) place: u64,
    at: i64,
}

#[derive(Default)]
pub(super) struct Snapshots(Mutex<Option<Arc<Snapshot>>>);

impl Snapshots {
    /// One that is fresh enough. Ten thousand clients that come at once wait for the one.
    pub(super) async fn get(
        &self,
        flows: &Arc<Flows>,
        place: impl FnOnce() -> u64,
    ) -> Option<Arc<Snapshot>> {
        let mut last = self.0.lock().await;
        let at = now(flows);
        if let Some(snapshot) = &*last
            && at - snapshot.at < LASTS
        {
            return Some(Arc::clone(snapshot));
        }
        // In this order: what is in the ring before the place is in the set as well.
        let place = place();
        let owned = Arc::clone(flows);
        // A set of a million entries takes a second of a core.
        let built = tokio::task::spawn_blocking(move || frames::snapshot(&owned.revoked()));
        // `None`: the runtime is ending. Whoever has no snapshot must not hear a heartbeat.
        let frames = built.await.ok()?;
        let snapshot = Arc::new(Snapshot { frames, place, at });
        *last = Some(Arc::clone(&snapshot));
        Some(snapshot)
    }

    /// Lets go of this one, which cannot be joined to what is new.
    pub(super) async fn discard(&self, snapshot: &Arc<Snapshot>) {
        self.0
            .lock()
            .await
            .take_if(|last| Arc::ptr_eq(last, snapshot));
    }

    /// Lets go of one that is not fresh any more: it may be large.
    pub(super) fn tidy(&self, now: i64) {
        if let Ok(mut last) = self.0.try_lock() {
            last.take_if(|snapshot| now - snapshot.at >= LASTS);
        }
    }
}

/// Milliseconds since the start of the process.
pub(super) fn now(flows: &Flows) -> i64 {
    i64::try_from(flows.elapsed().as_millis()).unwrap_or(i64::MAX)
}
