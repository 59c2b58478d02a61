//! Redis before a store that stays the authority.
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]
#![allow(dead_code)]

mod calls;
mod entry;
mod link;
mod names;
mod scripts;
mod url;

use std::path::PathBuf;

pub use link::Patience;
pub use url::{RedisUrl, UrlError};

/// Why Redis cannot be used. Each is one line for the operator; none contains a password.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file with the certificate authority cannot be read.
    #[error("the certificate authority for Redis, `{}`, cannot be read: {reason}", file.display())]
    Authority {
        /// The file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Redis refuses.
    #[error("Redis at `{0}` refuses: {1}")]
    Refused(String, String),
}

#[cfg(test)]
mod tests;
