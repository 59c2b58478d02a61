//! Removing what is over, by one instance for all.

use countersign_domain::rotation::later;
use countersign_store::Purge;
use jiff::{SignedDuration, Timestamp};

use crate::Flows;
use crate::fault::Fault;

const LEASE: &str = "housekeeping";

/// An instance that has swept keeps the lease for so long, and with it the others away.
const LEASE_LASTS: SignedDuration = SignedDuration::from_mins(5);

/// Rows in one transaction: few enough that nobody waits for it noticeably.
const BATCH: u32 = 500;

/// Batches in one sweep, so that a great backlog is removed over many.
const BATCHES: usize = 40;

/// For how long each kind is kept after it is over. A session that was ended is remembered for a
/// week, so that a late use of its token is still told why, and reuse still looks like reuse.
const KEPT: [(Purge, SignedDuration); 4] = [
    (Purge::ExpiredSessions, SignedDuration::from_hours(24)),
    (Purge::EndedSessions, SignedDuration::from_hours(7 * 24)),
    (Purge::Announcements, SignedDuration::from_hours(1)),
    (Purge::Keys, SignedDuration::from_hours(24)),
];

impl Flows {
    /// Removes what is long over, if no other instance is at it, and answers how many rows. The
    /// server calls this every minute.
    pub async fn sweep(&self) -> Result<usize, Fault> {
        let holder = self.holder();
        let now = self.clock.now();
        let until = later(now, LEASE_LASTS);
        if !self.store.take_lease(LEASE, holder, now, until).await? {
            return Ok(0);
        }
        // A clock that is ahead for a while must not cost sessions that will be live again when it
        // is set right.
        let now = self.cautious_now();
        let mut removed = 0;
        for (what, kept) in KEPT {
            let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
            for _ in 0..BATCHES {
                let batch = self.store.purge(what, before, BATCH).await?;
                removed += batch;
                if batch < BATCH as usize {
                    break;
                }
            }
        }
        if let Some(kept) = self.policy.audit_retention {
            let before = now.checked_sub(kept).unwrap_or(Timestamp::MIN);
            removed += self.cut_audit(before, BATCHES).await?;
        }
        Ok(removed)
    }
}
