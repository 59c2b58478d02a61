use async_trait::async_trait;
use countersign_domain::{EventId, SessionId, UserId};
use jiff::Timestamp;

use crate::StoreError;

/// Something that every instance must honour at once: it is written in the transaction of the
/// change that it tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Announcement {
    /// What it is about.
    pub subject: Subject,
    /// When it stops mattering, because every access token that it concerns has expired.
    pub expires_at: Timestamp,
    /// The event that it came of. `None`: of a version that kept no log.
    pub event: Option<EventId>,
}

/// What an announcement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The session has ended: its access tokens are refused from now on.
    Session(SessionId),
    /// Access tokens of the user that were issued before `not_before` are refused.
    User {
        /// The user.
        id: UserId,
        /// Tokens issued before this moment are refused.
        not_before: Timestamp,
    },
    /// Access tokens of everybody that were issued before `not_before` are refused.
    Everybody {
        /// Tokens issued before this moment are refused.
        not_before: Timestamp,
    },
    /// The user's profile, roles or standing changed: cached copies are stale.
    UserChanged(UserId),
    /// The signing keys changed.
    KeysChanged,
    /// Something that a newer version announces and this one does not know. It ends nothing: a newer version announces ends
    /// that older ones do not know only where it does not serve these any more. Nothing follows from it.
    Unknown,
}

/// An announcement with its place in the order of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Grows with every announcement. Two transactions may commit in the other order than their
    /// numbers, so a reader must ask again for a stretch that it has already seen; reading an
    /// announcement twice is harmless.
    pub seq: i64,
    /// The announcement.
    pub announcement: Announcement,
}

/// The revocation list, as a log that instances follow.
#[async_trait]
pub trait Announcements {
    /// All announcements with a greater number than `after` that have not expired at `now`, oldest
    /// first. `after` 0 gives the whole live list. A committed announcement is never left out: an
    /// omission would let a signed-out session go on.
    async fn announcements_after(
        &self,
        after: i64,
        now: Timestamp,
    ) -> Result<Vec<Announced>, StoreError>;

    /// Waits for what other instances have just announced, where the backend has a quick way to be told. It only makes
    /// things quick: news may be lost, come twice, or never come, and the list is still to be followed. Whether the backend
    /// was told what happened, or only that something did and then looked, is its own affair; where there is a copy before
    /// a database, what either hears counts. The copy knows of it before this is answered.
    ///
    /// The future may be dropped at any time, and there should be one at a time. From the first call on a backend may hold a
    /// connection for it.
    async fn news(&self) -> Vec<Announcement> {
        std::future::pending().await
    }
}
