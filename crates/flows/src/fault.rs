//! What can go wrong in every use case alike.

use std::time::Duration;

use countersign_store::StoreError;

use crate::limits::Limited;

/// A use case that could not be carried through. Nothing was acknowledged, and trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The store could not do its work.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// More password hashing is waiting than can be done in time.
    #[error("password hashing is overloaded")]
    Overloaded(#[from] Overloaded),
    /// It was tried too often.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// A wrong password could not be recorded. It is not answered as such, and counts.
    #[error("a refusal could not be recorded: {0}")]
    Unrecorded(StoreError),
    /// An access token could not be signed.
    #[error("cannot sign: {0}")]
    Signing(String),
}

/// The hashing queue is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("overloaded")]
pub struct Overloaded {
    /// When it is worth trying again.
    pub retry_after: Duration,
}

/// A field of a request that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's name in the request.
    pub field: &'static str,
    /// A stable code.
    pub code: &'static str,
    /// What would be accepted.
    pub detail: String,
}
