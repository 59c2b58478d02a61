use std::sync::atomic::Ordering;

use countersign_domain::audit::{By, Cursor, Kind, Mark, MarkKind, link};
use countersign_domain::rotation::later;
use countersign_store::{Link, StoreError};
use jiff::{SignedDuration, Timestamp};

use crate::fault::Fault;
use crate::{Caller, Flows};

const LEASE: &str = "audit";

/// The instance that seals keeps the others away for so long.
const LEASE_LASTS: SignedDuration = SignedDuration::from_secs(10);

/// An event that has waited so long is sealed by whoever sees it, whatever the lease says.
const LATE: SignedDuration = SignedDuration::from_secs(30);

/// Events in one transaction.
pub(super) const BATCH: u32 = 500;

/// How often the chain leaves a mark that may be kept elsewhere, in events.
pub(super) const CHECKPOINT_EVERY: u64 = 1000;

const FORGED_END: &str = "the end of the audit log was changed: see `countersign audit verify`";

impl Flows {
    /// Gives the events that have none their places in the chain, unless another instance is at it, and answers
    /// how many. The server calls this twice a second.
    pub async fn seal_audit(&self) -> Result<usize, Fault> {
        let (mut sealed, mut after) = (0, None);
        loop {
            let rows = self.store.unsealed_events(after, BATCH).await?;
            let more = rows.len() == BATCH as usize;
            after = rows.last().map(|row| row.id);
            let oldest = rows
                .first()
                .map_or(0, |row| self.clock.now().duration_since(row.at).as_millis());
            self.audit_lag
                .store(u64::try_from(oldest).unwrap_or(0), Ordering::Relaxed);
            let late = oldest > LATE.as_millis();
            if rows.is_empty() || !(late || self.has_audit_lease().await?) {
                return Ok(sealed);
            }
            // What somebody else put there gets no place among ours; `audit verify` finds it.
            let rows: Vec<_> = rows.into_iter().filter(|row| self.ink.wrote(row)).collect();
            if rows.is_empty() {
                match more {
                    true => continue,
                    false => return Ok(sealed),
                }
            }
            let head = self.store.chain().await?.head;
            self.check_end(head.as_ref()).await?;
            let (mut position, mut hash) = match &head {
                Some(head) => (head.position, head.hash),
                None => (0, [0; 32]),
            };
            let before = position;
            let mut links = Vec::with_capacity(rows.len());
            for row in &rows {
                position += 1;
                hash = link(&hash, position, &row.digest());
                links.push(Link {
                    id: row.id,
                    position,
                    hash,
                });
            }
            let now = self.clock.now();
            let new = self.ink.mark(MarkKind::Head, position, hash, now);
            let passed = before / CHECKPOINT_EVERY != position / CHECKPOINT_EVERY;
            let checkpoint =
                passed.then(|| self.ink.mark(MarkKind::Checkpoint, position, hash, now));
            let done = self
                .store
                .seal_events(head.as_ref(), &links, &new, checkpoint.as_ref());
            if !done.await? {
                // Another instance was quicker.
                return Ok(sealed);
            }
            self.audit_sealed.fetch_max(position, Ordering::Relaxed);
            sealed += links.len();
            if !more {
                return Ok(sealed);
            }
        }
    }

    /// Whether the chain may go on from its end as it is stored. Signing what goes on from a forged end would make a genuine
    /// one of it, so the end must be signed, be there, and not lie before where this process has seen it.
    async fn check_end(&self, head: Option<&Mark>) -> Result<(), Fault> {
        let forged = || Err(StoreError::Corrupt(FORGED_END.to_owned()).into());
        let seen = self.audit_sealed.load(Ordering::Relaxed);
        let Some(head) = head else {
            let chain = self.store.chain().await?;
            let none = chain.cut.is_none()
                && self.store.sealed_events(0, 1).await?.is_empty()
                && self.store.checkpoints(0, 1).await?.is_empty();
            return if seen == 0 && none { Ok(()) } else { forged() };
        };
        if !self.ink.signed(head, MarkKind::Head) || head.position < seen {
            return forged();
        }
        self.audit_sealed
            .fetch_max(head.position, Ordering::Relaxed);
        let last = self.store.sealed_events(head.position - 1, 1).await?;
        let is_there = last
            .first()
            .is_some_and(|(last, _)| (last.position, last.hash) == (head.position, head.hash));
        // Everything may have been old enough to be removed.
        let cut = self.store.chain().await?.cut;
        let was_cut = cut.is_some_and(|cut| {
            (cut.position, cut.hash) == (head.position, head.hash)
                && self.ink.signed(&cut, MarkKind::Cut)
        });
        if is_there || was_cut {
            Ok(())
        } else {
            forged()
        }
    }

    async fn has_audit_lease(&self) -> Result<bool, Fault> {
        let now = self.clock.now();
        let until = later(now, LEASE_LASTS);
        let mut held = self.audit_lease.lock().await;
        // Renewed at half-time, not at every batch.
        if held.is_some_and(|until| {
            later(now, LEASE_LASTS / 2) < until && until <= later(now, LEASE_LASTS)
        }) {
            return Ok(true);
        }
        let taken = self
            .store
            .take_lease(LEASE, self.holder(), now, until)
            .await?;
        *held = taken.then_some(until);
        Ok(taken)
    }

    /// Removes events from before a moment, oldest first, after having verified them: what was tampered with stays, as
    /// evidence. Answers how many were removed. Only what comes first in the chain can be cut off.
    pub(crate) async fn cut_audit(
        &self,
        before: Timestamp,
        batches: usize,
    ) -> Result<usize, Fault> {
        let removed = self.cut_batches(before, batches).await?;
        if removed > 0 {
            let by = By::Server;
            let mut draft = self.draft(Kind::AuditCut, by, &Caller::server(), self.clock.now());
            draft.details.insert("removed".to_owned(), removed.into());
            self.record(draft).await?;
        }
        Ok(removed)
    }

    async fn cut_batches(&self, before: Timestamp, batches: usize) -> Result<usize, Fault> {
        let mut removed = 0;
        for _ in 0..batches {
            let cut = self.store.chain().await?.cut;
            let Ok(mut cursor) = Cursor::begin(&self.ink, cut.as_ref()) else {
                tracing::error!("the audit log's cut was tampered with; nothing is removed");
                return Ok(removed);
            };
            let began = cursor.position();
            let rows = self.store.sealed_events(began, BATCH).await?;
            let rows = rows.iter().map(|(sealed, _)| sealed);
            let old = rows.take_while(|sealed| sealed.row.at < before);
            for sealed in old {
                if let Err(fault) = cursor.step(&self.ink, sealed) {
                    tracing::error!(%fault, "the audit log was tampered with; nothing is removed from there on");
                    break;
                }
            }
            let through = cursor.position();
            if through == began {
                return Ok(removed);
            }
            let now = self.clock.now();
            let new = self.ink.mark(MarkKind::Cut, through, cursor.hash(), now);
            if !self.store.cut_events(cut.as_ref(), &new).await? {
                return Ok(removed);
            }
            removed += usize::try_from(through - began).unwrap_or(usize::MAX);
        }
        Ok(removed)
    }
}
