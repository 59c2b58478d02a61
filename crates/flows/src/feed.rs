//! What this instance has newly learned, for those who follow it. The edge takes it from here and tells them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_domain::rotation::later;
use countersign_store::{Announcement, Subject};
use countersign_token::Revocation;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::Flows;
use crate::honour::millis;

/// How much may wait to be taken. An edge that does not take it for so long has to begin anew.
const ROOM: usize = 200_000;

/// What was announced longer ago when an instance starts is no news.
pub const NEWS_LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Something that followers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Tokens are refused.
    Revoked(Revocation),
    /// The signing keys have changed, and this instance has the new ones.
    KeysChanged,
}

/// A fact, and when this instance learned it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// What.
    pub fact: Fact,
    /// Its number among all announcements, where it is known already.
    pub seq: Option<i64>,
    /// When this instance learned it, in milliseconds since its start. What was there when it started: when it was
    /// announced, which is before.
    pub at: i64,
}

/// How far this instance has followed the announcements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// When the last look that succeeded began, in milliseconds since the start. All that was acknowledged before
    /// is known.
    pub began: i64,
    /// When that was by the clock.
    pub as_of: Timestamp,
    /// The greatest number that was known then.
    pub newest: i64,
    /// The greatest number of those that were there at the start and are no news.
    pub passed_over: i64,
    /// How often the database was found to have been put back to an earlier state.
    pub restored: u64,
}

/// What there is to tell.
#[derive(Debug, Default)]
pub struct News {
    /// What was learned, in that order.
    pub learned: Vec<Learned>,
    /// Some of it is missing: too much has come before it was taken.
    pub missed: bool,
    /// How far this instance has followed when `learned` was taken.
    pub progress: Progress,
}

#[derive(Default)]
pub(crate) struct Feed {
    state: Mutex<State>,
    come: Notify,
}

#[derive(Default)]
struct State {
    /// Nobody takes anything where nobody is served.
    taken: bool,
    learned: VecDeque<Learned>,
    missed: bool,
    progress: Progress,
    /// Changes of keys that were told, until they are announced no more.
    keys_told: HashMap<Announcement, i64>,
    /// Changes of keys that are told once this instance has them.
    keys_due: Vec<Learned>,
}

impl Feed {
    pub(crate) fn for_servers(taken: bool) -> Self {
        let feed = Self::default();
        feed.state().taken = taken;
        feed
    }

    pub(crate) fn learn(&self, learned: Learned) {
        self.state().push(learned);
        self.come.notify_one();
    }

    /// The keys have changed, and have yet to be read. Answers whether that is news.
    pub(crate) fn keys_changed(
        &self,
        announcement: &Announcement,
        seq: Option<i64>,
        at: i64,
    ) -> bool {
        let mut state = self.state();
        let until = announcement.expires_at.as_second();
        let news = state
            .keys_told
            .insert(announcement.clone(), until)
            .is_none();
        if news {
            let fact = Fact::KeysChanged;
            state.keys_due.push(Learned { fact, seq, at });
        }
        news
    }

    pub(crate) fn keys_are_due(&self) -> bool {
        !self.state().keys_due.is_empty()
    }

    /// The changes of keys that are due, before the keys are read.
    pub(crate) fn take_keys_due(&self) -> Vec<Learned> {
        std::mem::take(&mut self.state().keys_due)
    }

    /// After the keys were read, or where they could not be: then they stay due.
    pub(crate) fn keys_read(&self, due: Vec<Learned>, read: bool) {
        let mut state = self.state();
        match read {
            true => due.into_iter().for_each(|learned| state.push(learned)),
            false => state.keys_due.extend(due),
        }
        drop(state);
        self.come.notify_one();
    }

    pub(crate) fn progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.state().progress);
    }

    pub(crate) fn purge(&self, now: i64) {
        self.state().keys_told.retain(|_, until| *until >= now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, learned: Learned) {
        match self.taken {
            true if self.learned.len() >= ROOM => {
                self.learned.clear();
                self.missed = true;
            }
            true => self.learned.push_back(learned),
            false => {}
        }
    }
}

impl Flows {
    /// Waits until there may be something to take.
    pub async fn news_come(&self) {
        self.feed.come.notified().await;
    }

    /// Takes what has newly been learned. One caller tells all who follow this instance.
    pub fn take_news(&self) -> News {
        let mut state = self.feed.state();
        News {
            learned: std::mem::take(&mut state.learned).into(),
            missed: std::mem::take(&mut state.missed),
            progress: state.progress,
        }
    }

    /// All that is revoked now, in no order: everything that [`Flows::take_news`] has ever answered and that still matters.
    pub fn revoked(&self) -> Vec<Revocation> {
        self.revocations.entries()
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells this installation from others, as well as 32 bits can.
    pub fn installation(&self) -> u32 {
        self.installation
    }

    /// Makes an announcement hold on this instance, and passes it on if it is news. `first`: it was there at the start.
    pub(crate) fn honour_one(&self, announcement: &Announcement, seq: Option<i64>, first: bool) {
        let until = announcement.expires_at.as_second();
        let event = announcement.event.map(|event| event.0);
        let at = self.learned_at(announcement, first);
        let (news, revocation) = match announcement.subject {
            Subject::Session(sid) => {
                let sid = sid.0;
                let news = self.revocations.end_session(sid, until, event);
                (news, Revocation::Session { sid, until, event })
            }
            Subject::User { id, not_before } => {
                let (sub, not_before) = (id.0, not_before.as_millisecond());
                let news = self.revocations.end_user(sub, not_before, until, event);
                self.user_cache.forget(id);
                let revocation = Revocation::User {
                    sub,
                    not_before,
                    until,
                    event,
                };
                (news, revocation)
            }
            Subject::Everybody { not_before } => {
                let not_before = not_before.as_millisecond();
                let news = self.revocations.end_everybody(not_before, until, event);
                let revocation = Revocation::Everybody {
                    not_before,
                    until,
                    event,
                };
                (news, revocation)
            }
            Subject::UserChanged(id) => return self.user_cache.forget(id),
            Subject::Unknown => return,
            Subject::KeysChanged => {
                self.feed.keys_changed(announcement, seq, at);
                return;
            }
        };
        let old = first && at < self.elapsed_millis() - NEWS_LASTS.as_millis() as i64;
        match (old, seq) {
            (true, Some(seq)) => {
                self.feed
                    .progress(|progress| progress.passed_over = progress.passed_over.max(seq));
            }
            _ if news => self.feed.learn(Learned {
                fact: Fact::Revoked(revocation),
                seq,
                at,
            }),
            _ => {}
        }
    }

    fn learned_at(&self, announcement: &Announcement, first: bool) -> i64 {
        let now = self.elapsed_millis();
        if !first {
            return now;
        }
        // Every announcement lives for the same time.
        let whole = later(self.tokens_until(self.clock.now()), SignedDuration::ZERO);
        let age = whole.duration_since(announcement.expires_at).as_millis();
        now.saturating_sub(i64::try_from(age.max(0)).unwrap_or(i64::MAX))
    }

    pub(crate) fn elapsed_millis(&self) -> i64 {
        as_i64(self.clock.elapsed())
    }
}

pub(crate) fn as_i64(elapsed: Duration) -> i64 {
    i64::try_from(millis(elapsed)).unwrap_or(i64::MAX)
}
