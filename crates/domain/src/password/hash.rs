use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;

use super::bcrypt::Wrapping;
use super::work::{Digest, Work};
use super::{PresentedPassword, argon2id, bcrypt};

/// Longer than any string that [`PasswordHash::parse`] takes.
const MAX_TEXT_BYTES: usize = 256;

/// A password hash as it is stored: a standard string, checked in structure.
///
/// `Debug` hides it: a hash can be attacked at leisure.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    form: Form,
}

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Form {
    Bcrypt(bcrypt::Form),
    Argon2id(argon2id::Form),
}

/// The kind of a [`PasswordHash`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `$2a$`, `$2b$` or `$2y$`: passwords of at most 72 bytes without NUL.
    Bcrypt,
    /// passlib's `bcrypt_sha256`, version 1 (`$bcrypt-sha256$2b,12$…`): read, never written.
    BcryptSha256V1,
    /// passlib's `bcrypt_sha256`, version 2 (`$bcrypt-sha256$v=2,t=2b,r=12$…`).
    BcryptSha256,
    /// argon2id, version 19, as a PHC string.
    Argon2id,
}

/// A stored hash that is none of the kinds, damaged, or asks for more work or memory than is ever given to one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the stored password hash is unknown, damaged or out of bounds")]
pub struct CorruptHash;

impl PasswordHash {
    /// Reads a stored string. Never panics, whatever is stored.
    ///
    /// # Errors
    /// [`CorruptHash`] for what is not ASCII, not one of the [`Kind`]s to the last character, or above the bounds:
    /// bcrypt of cost 20; argon2id of 1 GiB, 64 iterations, 16 lanes.
    pub fn parse(text: &str) -> Result<Self, CorruptHash> {
        // ASCII first: below here text is cut at byte positions (RUSTSEC-2026-0199 was that, in the bcrypt crate).
        if text.len() > MAX_TEXT_BYTES || !text.is_ascii() {
            return Err(CorruptHash);
        }
        let form = bcrypt::Form::read(text)
            .map(Form::Bcrypt)
            .or_else(|| argon2id::Form::read(text).map(Form::Argon2id))
            .ok_or(CorruptHash)?;
        Ok(Self {
            text: text.to_owned(),
            form,
        })
    }

    /// The string to store.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match &self.form {
            Form::Bcrypt(form) => match form.wrapping {
                Wrapping::None => Kind::Bcrypt,
                Wrapping::Sha256 => Kind::BcryptSha256V1,
                Wrapping::HmacSha256 => Kind::BcryptSha256,
            },
            Form::Argon2id(_) => Kind::Argon2id,
        }
    }

    /// Whether this is a hash of the password. Takes the whole time of one hash, whatever the answer, and compares
    /// in constant time.
    ///
    /// A password of more than 72 bytes, or with a NUL byte, never matches a plain bcrypt hash: bcrypt would have
    /// looked at a part of it only.
    ///
    /// # Errors
    /// [`CorruptHash`] if there is no memory for the parameters that the string asks for.
    pub fn verify(&self, password: &PresentedPassword) -> Result<bool, CorruptHash> {
        let verification = self.verification(password);
        let digest = verification.work().run().map_err(|_| CorruptHash)?;
        Ok(verification.finish(&digest))
    }

    /// The same as [`verify`](Self::verify), taken apart for a pool.
    pub fn verification(&self, password: &PresentedPassword) -> Verification {
        let (work, may_match, expected) = match &self.form {
            Form::Bcrypt(form) => {
                let (work, may_match) = form.work(password.as_bytes());
                (Work::Bcrypt(work), may_match, &form.digest)
            }
            Form::Argon2id(form) => {
                let (work, may_match) = form.work(password.as_bytes());
                (Work::Argon2id(work), may_match, &form.digest)
            }
        };
        Verification {
            work,
            may_match,
            expected: expected.clone(),
        }
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }
}

impl From<Form> for PasswordHash {
    fn from(form: Form) -> Self {
        let text = match &form {
            Form::Bcrypt(form) => form.to_string(),
            Form::Argon2id(form) => form.to_string(),
        };
        Self { text, form }
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// A password to be compared with a hash, between preparation and answer.
pub struct Verification {
    work: Work,
    may_match: bool,
    expected: Vec<u8>,
}

impl Verification {
    /// What has to be computed first.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The answer, from the digest of [`work`](Self::work).
    pub fn finish(self, digest: &Digest) -> bool {
        let equal = digest.as_bytes().ct_eq(&self.expected);
        (equal & Choice::from(u8::from(self.may_match))).into()
    }
}
