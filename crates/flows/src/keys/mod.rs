//! Signing keys: made, sealed, published, used, retired.

mod generate;
mod ring;
mod seal;

pub(crate) use generate::generate;
pub use ring::{KeyRing, KeyStatus, KeyView, SigningSecret};
pub(crate) use seal::Seal;

use jiff::SignedDuration;

/// A new key is published for this long before it signs, so that every verifier knows it by then.
/// Verifiers may keep a key set for half of it: see [`JWKS_MAX_AGE_SECONDS`].
pub const PUBLISH_LEAD: SignedDuration = SignedDuration::from_mins(10);

/// How long an answer of the JWKS route may be cached, in seconds.
pub const JWKS_MAX_AGE_SECONDS: u32 = 300;
