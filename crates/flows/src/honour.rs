//! Honouring announcements: what the store says must hold on this instance.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_domain::rotation::later;
use countersign_store::{Announced, Announcement, Closed};
use jiff::{SignedDuration, Timestamp};

use crate::Flows;
use crate::fault::Fault;
use crate::feed::as_i64;

/// What was announced within the last so long is read again at every look, since a transaction may
/// commit after one with a greater number. The store lets no transaction begin its commit later
/// than five seconds after its beginning.
const OVERLAP: Duration = Duration::from_secs(15);

/// The whole live list is read again this often. That mends what the overlap cannot: a commit
/// that hung, a database that was restored, a clock that was wrong for a while.
const READ_ALL_AGAIN: Duration = Duration::from_secs(30);

/// An unknown key id has the keys read again at most this often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Announcements that could not be read for so long make the instance unready.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// Readiness is found out at most this often, however often it is asked for.
const READINESS_LASTS: Duration = Duration::from_millis(500);

/// A database that takes longer to answer nothing at all is as good as away. A load balancer should be
/// told so before it gives up asking.
const LONGEST_PING: Duration = Duration::from_secs(2);

/// Whether an instance has what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The database answers.
    pub database: bool,
    /// What other instances announce has been read within the last five seconds.
    pub announcements: bool,
    /// The faster copy of the sessions is in use; `None`: there is none. Without it everything works, only slower.
    pub redis: Option<bool>,
}

/// How far this instance has followed the announcements. Durations count from the start of the
/// process ([`Clock::elapsed`]), so that a clock that is set forgets nothing.
#[derive(Default)]
pub(crate) struct Followed {
    /// When the last looks were, and the greatest number that was known then, oldest first.
    looks: VecDeque<(Duration, i64)>,
    /// The numbers honoured of those that will be read again.
    seen: HashSet<i64>,
    read_all_at: Option<Duration>,
    /// How often the table was found to have been restored to an earlier state.
    restored: u64,
}

impl Followed {
    /// The number after which to read: the greatest that was known before the overlap; 0, that is
    /// everything, for the first looks and every now and then.
    fn begin(&mut self, elapsed: Duration) -> i64 {
        let due = |at: Duration| elapsed.saturating_sub(at) >= READ_ALL_AGAIN;
        if self.read_all_at.is_none_or(due) {
            self.read_all_at = Some(elapsed);
            // Numbers that were seen may stand for something else in a restored database.
            self.seen.clear();
            return 0;
        }
        let overlap = |at: Duration| elapsed.saturating_sub(at) < OVERLAP;
        while self.looks.get(1).is_some_and(|(at, _)| !overlap(*at)) {
            self.looks.pop_front();
        }
        match self.looks.front() {
            Some((at, newest)) if !overlap(*at) => *newest,
            _ => 0,
        }
    }

    /// Notes a look, and answers what it brought that is new.
    fn end(&mut self, elapsed: Duration, after: i64, announced: &[Announced]) -> Vec<Announced> {
        let newest = announced.iter().map(|one| one.seq).max().unwrap_or(after);
        if after == 0 {
            // The table may have been restored to an earlier state. Entries that have expired are not read.
            let before = self.looks.back().map_or(0, |(_, known)| *known);
            self.restored += u64::from(newest < before && !announced.is_empty());
            for (_, known) in &mut self.looks {
                *known = newest.min(*known);
            }
        }
        let fresh = announced.iter().filter(|one| !self.seen.contains(&one.seq));
        let fresh = fresh.cloned().collect();
        self.looks.push_back((elapsed, newest));
        self.seen = announced.iter().map(|one| one.seq).collect();
        fresh
    }
}

impl Flows {
    /// Reads what other instances and operators have announced, and honours it. The server calls
    /// this every half second; what this instance did itself is honoured before it is answered.
    pub async fn follow(&self) -> Result<(), Fault> {
        let mut followed = self.followed.lock().await;
        let (elapsed, as_of) = (self.clock.elapsed(), self.clock.now());
        let after = followed.begin(elapsed);
        let first = followed.looks.is_empty();
        let announced = self.store.announcements_after(after, self.cautious_now());
        let fresh = followed.end(elapsed, after, &announced.await?);
        for Announced { seq, announcement } in &fresh {
            self.honour_one(announcement, Some(*seq), first);
        }
        if self.keys.load().is_stale(self.clock.now()) {
            self.reload_keys(self.clock.now()).await?;
        }
        self.reload_due().await?;
        self.followed_at.store(millis(elapsed), Ordering::Relaxed);
        let newest = followed.looks.back().map_or(0, |(_, newest)| *newest);
        self.feed.progress(|progress| {
            progress.began = as_i64(elapsed);
            progress.as_of = as_of;
            progress.newest = newest;
            progress.restored = followed.restored;
        });
        let now = self.cautious_now().as_second();
        self.revocations.purge(now);
        self.feed.purge(now);
        Ok(())
    }

    /// Waits for news of other instances, and honours them at once. The server calls this all the time; what is missed
    /// is found by following.
    pub async fn hear(&self) -> Result<(), Fault> {
        let news = self.store.news().await;
        self.honour(&news);
        self.reload_due().await
    }

    /// Reads signing keys and service keys again, where a change of them was announced. What could not be read stays due.
    pub(crate) async fn reload_due(&self) -> Result<(), Fault> {
        if !self.feed.keys_are_due() {
            return Ok(());
        }
        let due = self.feed.take_keys_due();
        let read = async {
            self.reload_service_keys().await?;
            self.reload_keys(self.clock.now()).await
        };
        let read = read.await;
        self.feed.keys_read(due, read.is_ok());
        read
    }

    /// The time, unless the clock was set forward since the start: then the time that it would be
    /// without. By this one nothing is forgotten too early, whatever the clock says for a while.
    pub(crate) fn cautious_now(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.clock.elapsed()).unwrap_or_default();
        later(self.started_at, elapsed).min(self.clock.now())
    }

    /// Whether this instance has what it needs to serve. Asking often does not ask the store
    /// often.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.readiness.lock().await;
        let elapsed = self.clock.elapsed();
        if let Some((at, readiness)) = *last
            && elapsed.saturating_sub(at) < READINESS_LASTS
        {
            return readiness;
        }
        let followed_at = Duration::from_millis(self.followed_at.load(Ordering::Relaxed));
        let ping = tokio::time::timeout(LONGEST_PING, self.store.ping());
        let database = matches!(ping.await, Ok(Ok(())));
        let readiness = Readiness {
            database,
            announcements: elapsed.saturating_sub(followed_at) < LONGEST_SILENCE,
            redis: self.store.copy_in_use(),
        };
        *last = Some((elapsed, readiness));
        readiness
    }

    /// Why nothing may be answered any more, or for a moment, as of the last look at announcements.
    pub fn closed(&self) -> Option<Closed> {
        self.store.closed()
    }

    /// Makes announcements hold on this instance, at once. Doing so twice is harmless.
    pub(crate) fn honour(&self, announcements: &[Announcement]) {
        for announcement in announcements {
            self.honour_one(announcement, None, false);
        }
    }

    /// Reads the keys again, unless that was done a moment ago or is being done: tokens with
    /// made-up key ids must not become queries. Answers whether it was done.
    pub(crate) async fn look_for_keys(&self) -> bool {
        let Ok(mut looked) = self.looked_for_keys.try_lock() else {
            return false;
        };
        let elapsed = self.clock.elapsed();
        if looked.is_some_and(|at| elapsed.saturating_sub(at) < LOOK_AGAIN) {
            return false;
        }
        *looked = Some(elapsed);
        self.reload_keys(self.clock.now()).await.is_ok()
    }

    pub(crate) async fn reload_keys(&self, now: Timestamp) -> Result<(), Fault> {
        let records = self.store.signing_keys(now).await?;
        let ring = self.open_ring(&records, now)?;
        self.keys.store(Arc::new(ring));
        Ok(())
    }

    /// When a key that is made at `now` signs, and when the others expire: after the last token
    /// that they sign has.
    pub(crate) fn key_schedule(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let activates_at = later(now, crate::keys::PUBLISH_LEAD);
        (activates_at, self.tokens_until(activates_at))
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use countersign_domain::SessionId;
    use countersign_store::Subject;

    fn announced(seq: i64) -> Announced {
        Announced {
            seq,
            announcement: Announcement {
                subject: Subject::Session(SessionId::new([seq as u8; 16])),
                expires_at: Timestamp::MAX,
                event: None,
            },
        }
    }

    fn look(followed: &mut Followed, second: u64, table: &[i64]) -> (i64, usize) {
        let elapsed = Duration::from_secs(second);
        let after = followed.begin(elapsed);
        let rows: Vec<_> = table
            .iter()
            .filter(|&&seq| seq > after)
            .map(|&seq| announced(seq))
            .collect();
        (after, followed.end(elapsed, after, &rows).len())
    }

    #[test]
    fn what_commits_late_is_found_from_the_very_first_look_on() {
        let mut followed = Followed::default();
        assert_eq!(look(&mut followed, 0, &[2]), (0, 1));
        assert_eq!(look(&mut followed, 1, &[1, 2]), (0, 1));
        assert_eq!(look(&mut followed, 14, &[1, 2, 4]), (0, 1));
        // 3 had its number when 4 was seen, 15 seconds ago.
        assert_eq!(look(&mut followed, 28, &[1, 2, 3, 4]), (2, 1));
        assert_eq!(look(&mut followed, 29, &[1, 2, 3, 4]), (4, 0));
    }

    #[test]
    fn everything_is_read_again_every_now_and_then() {
        let mut followed = Followed::default();
        look(&mut followed, 0, &[7]);
        assert_eq!(look(&mut followed, 20, &[7]), (7, 0));
        // The database was restored and gives out old numbers again.
        assert_eq!(look(&mut followed, 30, &[1, 2]), (0, 2));
        assert_eq!(look(&mut followed, 31, &[1, 2, 3]), (2, 1));
        assert_eq!(look(&mut followed, 60, &[1, 2, 3]), (0, 3));
    }
}
