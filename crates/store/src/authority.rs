use std::time::Duration;

use async_trait::async_trait;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::RotationPolicy;
use countersign_domain::{SessionId, UserId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::{Act, RefreshOutcome, Session, StoreError, User};

/// A rotation that was acknowledged before it reached the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The session.
    pub session: SessionId,
    /// Its generation since.
    pub generation: u32,
    /// When that came to be.
    pub rotated_at: Timestamp,
    /// When the session ends unless it is refreshed again.
    pub idle_expires_at: Timestamp,
}

/// Which copy of the sessions is the one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyEpoch {
    /// Tells installations apart that share a place for their copies. Never changes.
    pub installation: Uuid,
    /// Only ever grows. What was copied under a smaller number is worth nothing. An even one says that the copies are
    /// out of use: whoever uses them begins an odd one first.
    pub number: u64,
}

/// What a store owes a faster copy of its sessions that stands before it. The store stays the
/// authority: the copy may be lost at any time, and nothing that has ended may go on because of it.
#[async_trait]
pub trait Authority {
    /// Writes rotations, with the time of last use. A generation never goes down, a session that
    /// has ended stays as it is, and none is made. Several transactions; doing it again is safe, and so is leaving off after an error.
    async fn note_rotations(&self, rotations: &[Rotation]) -> Result<(), StoreError>;

    /// [`Sessions::refresh`](crate::Sessions::refresh) for a request that has been held up for so long already: what came late,
    /// or is abandoned, ends no session.
    async fn refresh_held(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        act: &Act,
        held: Duration,
    ) -> Result<RefreshOutcome, StoreError>;

    /// A session and its user, as they are at one moment.
    async fn session_with_user(&self, id: SessionId)
    -> Result<Option<(Session, User)>, StoreError>;

    /// The sessions of a user that have not been ended, expired ones among them.
    async fn sessions_of(&self, user: UserId) -> Result<Vec<SessionId>, StoreError>;

    /// The epoch in force. The first call of all makes it, with `installation`.
    async fn copy_epoch(&self, installation: Uuid) -> Result<CopyEpoch, StoreError>;

    /// Makes every copy worthless that was made up to epoch `after`, by beginning the one with the greater number `to`, and
    /// answers the epoch in force then. Of any number of calls with one `after`, one begins a new epoch.
    async fn next_copy_epoch(&self, after: CopyEpoch, to: u64) -> Result<CopyEpoch, StoreError>;
}
