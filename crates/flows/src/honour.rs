//! Honouring announcements: what the store says must hold on this instance.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;

use countersign_domain::rotation::later;
use countersign_store::{Announcement, Subject};
use jiff::{SignedDuration, Timestamp};

use crate::Flows;
use crate::fault::Fault;

/// Each look reads again what the last so many looks have read, since a transaction may commit
/// after one with a greater number. At two looks a second this covers ten seconds, longer than
/// any transaction is allowed to last.
const OVERLAP: usize = 20;

/// An unknown key id has the keys read again at most this often.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_millis(250);

/// Announcements that could not be read for so long make the instance unready.
const LONGEST_SILENCE: SignedDuration = SignedDuration::from_secs(5);

/// Whether an instance has what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The database answers.
    pub database: bool,
    /// What other instances announce has been read within the last five seconds.
    pub announcements: bool,
}

/// How far this instance has followed the announcements.
#[derive(Default)]
pub(crate) struct Followed {
    /// The greatest number seen at each of the last looks, oldest first.
    looks: VecDeque<i64>,
    seen: HashSet<i64>,
}

impl Flows {
    /// Reads what other instances and operators have announced, and honours it. The server calls
    /// this every half second; what this instance did itself is honoured before it is answered.
    pub async fn follow(&self) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut followed = self.followed.lock().await;
        let after = followed.looks.front().copied().unwrap_or(0);
        let announced = self.store.announcements_after(after, now).await?;
        let newest = announced.iter().map(|one| one.seq).max().unwrap_or(after);
        let newest = newest.max(followed.looks.back().copied().unwrap_or(0));
        let fresh: Vec<Announcement> = announced
            .iter()
            .filter(|one| !followed.seen.contains(&one.seq))
            .map(|one| one.announcement.clone())
            .collect();
        self.honour(&fresh);
        if self.keys.load().is_stale(now) || fresh.iter().any(|a| a.subject == Subject::KeysChanged)
        {
            self.reload_keys(now).await?;
        }
        followed.looks.push_back(newest);
        if followed.looks.len() > OVERLAP {
            followed.looks.pop_front();
        }
        let window = followed.looks.front().copied().unwrap_or(0);
        followed.seen.retain(|&seq| seq > window);
        followed.seen.extend(
            announced
                .iter()
                .map(|one| one.seq)
                .filter(|&seq| seq > window),
        );
        self.followed_at
            .store(now.as_microsecond(), Ordering::Relaxed);
        self.revocations.purge(now.as_second());
        Ok(())
    }

    /// Whether this instance has what it needs to serve.
    pub async fn readiness(&self) -> Readiness {
        let last = self.followed_at.load(Ordering::Relaxed);
        let silence = self.clock.now().as_microsecond().saturating_sub(last);
        Readiness {
            database: self.store.ping().await.is_ok(),
            announcements: i128::from(silence) < LONGEST_SILENCE.as_micros(),
        }
    }

    /// Makes announcements hold on this instance, at once. Doing so twice is harmless.
    pub(crate) fn honour(&self, announcements: &[Announcement]) {
        for announcement in announcements {
            let until = announcement.expires_at.as_second();
            match announcement.subject {
                Subject::Session(id) => self.revocations.end_session(id.0, until),
                Subject::User { id, not_before } => {
                    self.revocations
                        .end_user(id.0, not_before.as_second(), until);
                    self.user_cache.forget(id);
                }
                Subject::UserChanged(id) => self.user_cache.forget(id),
                Subject::KeysChanged => {}
            }
        }
    }

    /// Reads the keys again, unless that was done a moment ago or is being done: tokens with
    /// made-up key ids must not become queries. Answers whether it was done.
    pub(crate) async fn look_for_keys(&self) -> bool {
        let Ok(mut looked) = self.looked_for_keys.try_lock() else {
            return false;
        };
        let now = self.clock.now();
        if looked.is_some_and(|at| now.duration_since(at).abs() < LOOK_AGAIN) {
            return false;
        }
        *looked = Some(now);
        self.reload_keys(now).await.is_ok()
    }

    pub(crate) async fn reload_keys(&self, now: Timestamp) -> Result<(), Fault> {
        let records = self.store.signing_keys(now).await?;
        let ring = self.open_ring(&records, now)?;
        self.keys.store(std::sync::Arc::new(ring));
        Ok(())
    }

    /// When a key that is made at `now` signs, and when the others expire: after the last token
    /// that they sign has.
    pub(crate) fn key_schedule(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let activates_at = later(now, crate::keys::PUBLISH_LEAD);
        (activates_at, self.tokens_until(activates_at))
    }
}
