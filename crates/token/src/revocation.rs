use std::{
    collections::{
        HashMap,
        hash_map::Entry::{Occupied, Vacant},
    },
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use uuid::Uuid;

use crate::Claims;

/// The sessions and users whose tokens are refused although they have not expired. Shared between threads by reference.
///
/// It is a set in the mathematical sense: entries may arrive twice and in any order, and the result is the same. So a feed may repeat
/// itself, and two sources may be merged.
///
/// A revocation needs to be remembered only until the last token that it concerns has expired (its `exp` plus the verifier's leeway); that moment is the `until`
/// of each entry, in Unix seconds. In memory a session takes 42 bytes and a user 50, times 1.2 to 2.3 for the free places of the hash tables,
/// and up to twice that after [`purge`](Self::purge).
#[derive(Debug, Default)]
pub struct RevocationSet {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    sessions: HashMap<Uuid, SessionEntry>,
    users: HashMap<Uuid, UserEntry>,
    everybody: Option<UserEntry>,
}

#[derive(Debug)]
struct SessionEntry {
    until: i64,
    event: Option<Uuid>,
}

#[derive(Debug)]
struct UserEntry {
    not_before: i64,
    until: i64,
    event: Option<Uuid>,
}

impl UserEntry {
    fn refuses(&self, claims: &Claims) -> bool {
        issued_at(claims) < self.not_before
    }

    /// Answers whether that changed anything.
    fn merge(&mut self, other: Self) -> bool {
        let before = (self.not_before, self.event, self.until);
        let newer = (other.not_before, other.event);
        (self.not_before, self.event) = newer.max((self.not_before, self.event));
        self.until = self.until.max(other.until);
        before != (self.not_before, self.event, self.until)
    }
}

/// An entry of the set, as it can be given to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Revocation {
    /// What [`RevocationSet::end_session`] was told.
    Session {
        /// The session.
        sid: Uuid,
        /// Until when it matters, in Unix seconds.
        until: i64,
        /// What did it.
        event: Option<Uuid>,
    },
    /// What [`RevocationSet::end_user`] was told.
    User {
        /// The user.
        sub: Uuid,
        /// In Unix milliseconds.
        not_before: i64,
        /// Until when it matters, in Unix seconds.
        until: i64,
        /// What did it.
        event: Option<Uuid>,
    },
    /// What [`RevocationSet::end_everybody`] was told.
    Everybody {
        /// In Unix milliseconds.
        not_before: i64,
        /// Until when it matters, in Unix seconds.
        until: i64,
        /// What did it.
        event: Option<Uuid>,
    },
}

/// What a token was found under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// What was revoked.
    pub what: What,
    /// What did it, as whoever revoked it calls it: in Countersign, the event of the audit log.
    pub event: Option<Uuid>,
}

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The session, for good.
    Session,
    /// Tokens of the user from before some moment. Of a session that goes on, a new one is to be had.
    User,
    /// Tokens of everybody from before some moment.
    Everybody,
}

impl RevocationSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses every token of session `sid`, until `until` has passed. The latest `until` wins. Answers whether that was news.
    pub fn end_session(&self, sid: Uuid, until: i64, event: Option<Uuid>) -> bool {
        match self.write().sessions.entry(sid) {
            Occupied(mut there) => {
                let entry = there.get_mut();
                let before = (entry.until, entry.event);
                entry.until = until.max(entry.until);
                entry.event = entry.event.max(event);
                before != (entry.until, entry.event)
            }
            Vacant(place) => {
                place.insert(SessionEntry { until, event });
                true
            }
        }
    }

    /// Refuses every token of user `sub` that was issued before `not_before`, until `until` has passed. The latest of each wins.
    /// Answers whether that was news.
    ///
    /// `not_before` is in Unix milliseconds, as [`issued_at`] is.
    pub fn end_user(&self, sub: Uuid, not_before: i64, until: i64, event: Option<Uuid>) -> bool {
        let entry = UserEntry {
            not_before,
            until,
            event,
        };
        match self.write().users.entry(sub) {
            Occupied(mut there) => there.get_mut().merge(entry),
            Vacant(place) => {
                place.insert(entry);
                true
            }
        }
    }

    /// Refuses every token of everybody that was issued before `not_before`, like [`end_user`](Self::end_user).
    pub fn end_everybody(&self, not_before: i64, until: i64, event: Option<Uuid>) -> bool {
        let entry = UserEntry {
            not_before,
            until,
            event,
        };
        match &mut self.write().everybody {
            Some(there) => there.merge(entry),
            place => {
                *place = Some(entry);
                true
            }
        }
    }

    /// Everything in the set, in no order. Nobody else can change it meanwhile, as during [`purge`](Self::purge).
    pub fn entries(&self) -> Vec<Revocation> {
        let entries = self.read();
        let sessions = entries
            .sessions
            .iter()
            .map(|(sid, entry)| Revocation::Session {
                sid: *sid,
                until: entry.until,
                event: entry.event,
            });
        let users = entries.users.iter().map(|(sub, entry)| Revocation::User {
            sub: *sub,
            not_before: entry.not_before,
            until: entry.until,
            event: entry.event,
        });
        let everybody = entries.everybody.iter().map(|entry| Revocation::Everybody {
            not_before: entry.not_before,
            until: entry.until,
            event: entry.event,
        });
        everybody.chain(users).chain(sessions).collect()
    }

    /// Whether a token with these claims has been revoked.
    pub fn refuses(&self, claims: &Claims) -> bool {
        self.find(claims).is_some()
    }

    /// What a token with these claims has been revoked by: rather its session than its user, since that is for good.
    pub fn find(&self, claims: &Claims) -> Option<Revoked> {
        let entries = self.read();
        let revoked = |what, event| Some(Revoked { what, event });
        if let Some(session) = entries.sessions.get(&claims.sid) {
            return revoked(What::Session, session.event);
        }
        if let Some(all) = entries.everybody.as_ref().filter(|all| all.refuses(claims)) {
            return revoked(What::Everybody, all.event);
        }
        let user = entries.users.get(&claims.sub)?;
        user.refuses(claims).then_some(Revoked {
            what: What::User,
            event: user.event,
        })
    }

    /// Drops the entries whose `until` is before `now`, and gives memory back when most of the places have become free.
    pub fn purge(&self, now: i64) {
        let mut entries = self.write();
        entries.sessions.retain(|_, session| session.until >= now);
        entries.users.retain(|_, user| user.until >= now);
        entries.everybody.take_if(|all| all.until < now);
        let (sessions, users) = (entries.sessions.len(), entries.users.len());
        entries.sessions.shrink_to(sessions.saturating_mul(2));
        entries.users.shrink_to(users.saturating_mul(2));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        let entries = self.read();
        entries.sessions.len() + entries.users.len() + usize::from(entries.everybody.is_some())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // No operation leaves the maps half-changed, so a panic of another thread is no reason to stop refusing tokens.
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a token was issued, in Unix milliseconds. `iat` is in seconds; where `jti` is a UUIDv7 (RFC 9562, section 5.7) of the same second, as
/// in tokens of Countersign, it tells the millisecond. So a token can be revoked and its successor be made in one second.
pub fn issued_at(claims: &Claims) -> i64 {
    let second = claims.iat.saturating_mul(1000);
    let exact = claims.jti.get_timestamp().map(|time| {
        let (seconds, nanos) = time.to_unix();
        let millis = i64::from(nanos / 1_000_000);
        (i64::try_from(seconds).unwrap_or(i64::MAX), millis)
    });
    match exact {
        Some((seconds, millis)) if claims.jti.get_version_num() == 7 && seconds == claims.iat => {
            second.saturating_add(millis)
        }
        _ => second,
    }
}
