//! Redis before a store that stays the authority.
//!
//! [`RedisStore`] keeps a copy of every live session in Redis, so that a refresh costs one script on one key there; counts limits
//! there, for all instances; and tells the other instances at once what has ended. Everything else it hands to the store
//! beneath. `docs/decisions/` tells why it is right; in short:
//!
//! - Only the database says that a session is live. A key becomes live over a lease that was put there before the
//!   database was read, and whatever ends the session takes the lease away (`lua/state.lua`).
//! - What ended is buried in Redis after the database has committed it and before anybody is told (`settle.rs`).
//! - A Redis that was restarted, promoted, or out of reach is not trusted before it was told what it missed. What it may hold that
//!   is old becomes worthless by a new epoch, which the database counts (`scripts.rs`, `keeper.rs`, `debts.rs`).
//! - What instances must know of each other without the database stands in marks beside the sessions (`marks.rs`).
//! - Before an instance that cannot reach Redis refreshes in the database, all others have stopped refreshing in Redis (`alone.rs`).
//! - Rotations reach the database behind, within a second (`pending.rs`). Where Redis and the database differ, the database is asked
//!   before anybody is signed out (`refresh.rs`).
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

mod alone;
mod calls;
mod debts;
mod entry;
mod examine;
mod figures;
mod instance;
mod keeper;
mod limits;
mod link;
mod marks;
mod names;
mod news;
mod others;
mod pending;
mod refresh;
#[cfg(feature = "rehearsal")]
pub mod rehearsal;
mod scripts;
mod sessions;
mod settle;
mod store;
mod url;
mod users;

use std::path::PathBuf;

pub use examine::{Found, examine};
pub use link::Patience;
pub use store::{RedisStore, Settings};
pub use url::{RedisUrl, UrlError};

/// Why Redis cannot be used. Each is one line for the operator; none contains a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file with the certificate authority cannot be used.
    #[error("the certificate authority for Redis, `{}`, cannot be used: {reason}", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Redis refuses.
    #[error("Redis at `{0}` refuses: {1}")]
    Refused(String, String),
    /// Redis is older than version 7.
    #[error("Redis at `{0}` is version {1}: version 7 or newer is needed")]
    TooOld(String, String),
}

#[cfg(test)]
mod tests;
