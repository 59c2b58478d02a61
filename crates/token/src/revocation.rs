use std::{
    collections::HashMap,
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
/// of each entry, in Unix seconds. In memory a session takes 25 bytes and a user 33, times 1.2 to 2.3 for the free places of the hash tables,
/// and up to twice that after [`purge`](Self::purge).
#[derive(Debug, Default)]
pub struct RevocationSet {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    sessions: HashMap<Uuid, i64>,
    users: HashMap<Uuid, UserEntry>,
}

#[derive(Debug)]
struct UserEntry {
    not_before: i64,
    until: i64,
}

impl RevocationSet {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses every token of session `sid`, until `until` has passed. The latest `until` wins.
    pub fn end_session(&self, sid: Uuid, until: i64) {
        let mut entries = self.write();
        let entry = entries.sessions.entry(sid).or_insert(until);
        *entry = until.max(*entry);
    }

    /// Refuses every token of user `sub` that was issued (`iat`) before `not_before`, until `until` has passed. The latest of each wins.
    ///
    /// Times are whole seconds: a token issued in second `not_before` itself is not refused. To be sure of the tokens of the current second,
    /// pass the next one, and let the user sign in again no sooner.
    pub fn end_user(&self, sub: Uuid, not_before: i64, until: i64) {
        let mut entries = self.write();
        let entry = entries
            .users
            .entry(sub)
            .or_insert(UserEntry { not_before, until });
        entry.not_before = not_before.max(entry.not_before);
        entry.until = until.max(entry.until);
    }

    /// Whether a token with these claims has been revoked.
    pub fn refuses(&self, claims: &Claims) -> bool {
        let entries = self.read();
        entries.sessions.contains_key(&claims.sid)
            || entries
                .users
                .get(&claims.sub)
                .is_some_and(|user| claims.iat < user.not_before)
    }

    /// Drops the entries whose `until` is before `now`, and gives memory back when most of the places have become free.
    pub fn purge(&self, now: i64) {
        let mut entries = self.write();
        entries.sessions.retain(|_, until| *until >= now);
        entries.users.retain(|_, user| user.until >= now);
        let (sessions, users) = (entries.sessions.len(), entries.users.len());
        entries.sessions.shrink_to(sessions.saturating_mul(2));
        entries.users.shrink_to(users.saturating_mul(2));
    }

    /// How many sessions and users are listed.
    pub fn len(&self) -> usize {
        let entries = self.read();
        entries.sessions.len() + entries.users.len()
    }

    /// Whether none is.
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
