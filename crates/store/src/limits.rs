use async_trait::async_trait;
use countersign_domain::limits::{Return, Rule, Taken};
use jiff::Timestamp;

use crate::StoreError;

/// Under what is counted: 16 bytes that say nothing about whom they stand for. Whoever makes one
/// derives it from an address or a name under a secret key, so that a copy of the store tells nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LimitKey(pub [u8; 16]);

/// How often something has happened, counted for every instance that shares the backend.
///
/// Rules are arguments, and so is the time: a backend keeps one
/// [`Tally`](countersign_domain::limits::Tally) per key, and makes the decisions of
/// [`Rule`] atomic in its own way. A key is only ever used with one kind of rule.
///
/// A backend may lose tallies (a restart, an eviction under a flood): then more is admitted for a
/// while. It must never admit more than the rule says while it runs and has room, and must answer [`StoreError::Unavailable`] within a
/// bounded wait where it cannot tell; the caller then counts elsewhere, and never admits unseen.
#[async_trait]
pub trait Limits: Send + Sync + 'static {
    /// Takes a place for one more time. Looking and taking are one step: of any number of calls at
    /// once, on any instance, exactly as many are admitted as there are places. A refusal changes
    /// nothing, so whoever is refused does not wait longer for having asked.
    async fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Result<Taken, StoreError>;

    /// Gives a place back. `taken_until` is the `until` of the tally that came with it. A place of a
    /// window that has ended since is gone with it, and nothing is taken from the next one.
    /// Not safe to repeat: after an error the place may have been given back or not, and is left so.
    async fn give_back(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Removes at most `most` tallies that have lapsed, and answers how many it removed. Only for
    /// room: one that has lapsed counts for nothing, removed or not.
    async fn remove_lapsed_limits(&self, most: u32, now: Timestamp) -> Result<u32, StoreError>;
}
