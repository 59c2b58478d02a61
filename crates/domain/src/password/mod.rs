//! Passwords: what may be chosen, how it is hashed, and how a typed one is compared with a stored hash.
//!
//! Everything here is CPU work on arguments: salts come from the caller, and whoever calls [`Scheme::hash`] or
//! [`PasswordHash::verify`] decides on which thread the hundreds of milliseconds are spent. A pool that wants to
//! compute several hashes side by side takes them apart: [`Scheme::hashing`] and [`PasswordHash::verification`]
//! give a [`Work`], whose [`Digest`] finishes either.

mod argon2id;
mod bcrypt;
mod common;
mod hash;
mod new;
mod normal;
mod presented;
mod scheme;
mod work;

pub use argon2id::Argon2idWork;
pub use bcrypt::BcryptWork;
pub use hash::{CorruptHash, Kind, PasswordHash, Verification};
pub use new::{NewPassword, PasswordIssue};
pub use normal::MAX_BYTES;
pub use presented::PresentedPassword;
pub use scheme::{Hashing, Scheme, SchemeIssue};
pub use work::{Digest, OutOfMemory, Work};

/// Fewest characters (Unicode scalar values after NFC) of a new password.
pub const MIN_CHARACTERS: usize = 8;

/// Whether `candidate` is on the shipped list of common passwords, in any mix of upper and lower case.
///
/// Costs well under a microsecond and allocates nothing.
pub fn is_common(candidate: &str) -> bool {
    common::contains(candidate)
}
