//! What every storage backend promises.
//!
//! The traits speak in transitions (`open_session`, `refresh`, `set_password`), not in rows: a
//! method says what happens all at once or not at all, and its answer lists every outcome. "Not
//! found" and "taken" are outcomes; [`StoreError`] is for a store that could not do its work.
//!
//! Time is an argument everywhere. Every transition that ends sessions writes, in the same
//! transaction, an [`Announcement`] for each of them, and returns the announcements so that the
//! instance that made the change can honour it before it answers. Every transition is an [`Act`], and leaves its event in
//! the audit log, in the same transaction too.
#![warn(missing_docs)]
#![allow(
    clippy::large_enum_variant,
    reason = "outcomes are moved once or twice and never kept in number; boxes would only be in the way"
)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod act;
mod announcements;
mod audit;
mod authority;
#[cfg(feature = "contract")]
pub mod contract;
mod housekeeping;
mod keys;
mod limits;
mod service_keys;
mod sessions;
mod users;

pub use act::Act;
pub use announcements::{Announced, Announcement, Announcements, Subject};
pub use audit::{Audit, Chain, EventQuery, Link, StoredEvent};
pub use authority::{Authority, CopyEpoch, Rotation};
pub use housekeeping::{Housekeeping, Purge};
pub use keys::{InstallKey, KeyRecord, Keys, NewKey};
pub use limits::{LimitKey, Limits};
pub use service_keys::{NewServiceKey, ServiceKeyCreated, ServiceKeyRecord, ServiceKeys};
pub use sessions::{
    Ended, Grant, MAX_SESSIONS, NewSession, Opened, RefreshOutcome, Refreshed, Scope, Session,
    Sessions, SignInProof,
};
pub use users::{
    Actor, Created, Credentials, Deleted, NewUser, PasswordSet, Patched, SetPassword, User,
    UserChange, Users,
};

/// A store that could not do its work. Neither text is for clients: both may name tables or hosts.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is too slow, or refuses writes. Nothing was acknowledged;
    /// trying again later is safe.
    #[error("storage unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: a value of a wrong kind, or a statement that does not fit
    /// the schema.
    #[error("storage corrupt: {0}")]
    Corrupt(String),
}

/// All that a backend promises.
#[async_trait::async_trait]
pub trait Store:
    Users
    + Sessions
    + Keys
    + ServiceKeys
    + Announcements
    + Audit
    + Housekeeping
    + Limits
    + Send
    + Sync
    + 'static
{
    /// Answers when the store can serve reads, within a bounded wait.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Whether a faster copy of the sessions is in use at this moment. `None`: there is none to be used. Without it everything
    /// works, only slower.
    fn copy_in_use(&self) -> Option<bool> {
        None
    }

    /// Why nothing may be answered from this store, as of the last [`Announcements::announcements_after`]. `None`: it may be.
    fn closed(&self) -> Option<Closed> {
        None
    }
}

/// Why nothing may be answered from a store: its data move to another database, or here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// They are about to move. It takes seconds, and may be called off.
    Moving,
    /// They have moved.
    Moved,
    /// They are moved here, and not everything has come yet.
    Unfinished,
}
