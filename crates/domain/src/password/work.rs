use thiserror::Error;

use super::argon2id::Argon2idWork;
use super::bcrypt::BcryptWork;

/// The expensive part of a hashing or a verification, owned, so that it can be sent to the thread that does it.
pub enum Work {
    /// One raw bcrypt computation; several may be interleaved on one core.
    Bcrypt(BcryptWork),
    /// One argon2id computation.
    Argon2id(Argon2idWork),
}

/// What came out of a [`Work`].
pub struct Digest(Vec<u8>);

/// The memory that argon2id needs could not be had.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not enough memory for argon2id")]
pub struct OutOfMemory;

impl Work {
    /// Does the work: tens to hundreds of milliseconds of one core.
    ///
    /// # Errors
    /// [`OutOfMemory`], from argon2id alone.
    pub fn run(&self) -> Result<Digest, OutOfMemory> {
        match self {
            Self::Bcrypt(work) => Ok(work.run()),
            Self::Argon2id(work) => work.run(),
        }
    }
}

impl Digest {
    /// A digest computed elsewhere, for example by an interleaved bcrypt: the first 23 bytes for [`Work::Bcrypt`].
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
