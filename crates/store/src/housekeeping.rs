use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::StoreError;

/// What is removed once it no longer matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purge {
    /// Sessions whose absolute expiry lies before a moment.
    ExpiredSessions,
    /// Sessions that were ended before a moment.
    EndedSessions,
    /// Announcements that expired before a moment.
    Announcements,
    /// Signing keys that expired before a moment.
    Keys,
}

/// Removing what is over. Nothing depends on it being done: expiry is checked wherever something
/// is used, and what is removed was worth nothing before.
#[async_trait]
pub trait Housekeeping {
    /// Takes or prolongs a lease for `holder` until `until`, unless somebody else's has not run out
    /// at `now`. Answers whether `holder` has it. Instances whose clocks differ may hold it at once, so it only
    /// spares work, and guards nothing.
    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Removes at most about `limit` of `what` from before a moment, in one short transaction, and
    /// answers how many. Doing so twice at once is harmless.
    async fn purge(&self, what: Purge, before: Timestamp, limit: u32) -> Result<usize, StoreError>;
}
