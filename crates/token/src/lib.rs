#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]
#![warn(missing_docs)]

mod algorithm;
mod cache;
mod claims;
mod encoding;
mod json;
mod jwk;
mod key;
mod key_set;
mod refusal;
mod revocation;
#[cfg(feature = "sign")]
mod sign;
mod unverified;
mod verifier;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use cache::TokenCache;
pub use claims::{Audience, Claims};
pub use key::{KeyError, MIN_SECRET_BYTES, VerificationKey};
pub use key_set::{KeySet, MAX_KEYS};
pub use refusal::Refusal;
pub use revocation::{Revocation, RevocationSet, Revoked, What, issued_at};
#[cfg(feature = "sign")]
pub use sign::{SigningError, SigningKey};
pub use unverified::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES};
pub use verifier::{Expectations, Verifier};
