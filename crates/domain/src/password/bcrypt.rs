//! bcrypt, plain and wrapped, up to and after the raw computation.
//!
//! bcrypt itself takes at most 72 bytes and repeats them: it is fed the password and a NUL byte, so that `ab` and
//! `abab` differ. A longer password would be cut, and one with a NUL byte of its own could equal another one.
//! Both therefore go through HMAC-SHA-256 first, in the form that passlib documents as `bcrypt_sha256`.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, STANDARD};
use zeroize::Zeroizing;

use super::normal;
use super::work::Digest;

/// The costs that bcrypt defines start here.
pub(super) const MIN_COST: u32 = 4;
/// A minute of one core. A stored hash that asks for more would block a hashing thread for minutes to days.
pub(super) const MAX_COST: u32 = 20;

/// bcrypt's own alphabet, without padding. Stray bits in the last character are refused: passlib and the C
/// implementations never match a string that has them.
const BASE_64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, NO_PAD);
const KEY_BYTES: usize = 72;
const SALT_CHARACTERS: usize = 22;
const DIGEST_BYTES: usize = 23;

/// The inputs of one raw bcrypt computation. Wiped from memory when dropped.
pub struct BcryptWork {
    cost: u32,
    salt: [u8; 16],
    key: Zeroizing<Vec<u8>>,
}

impl BcryptWork {
    /// The number of rounds is 2 to the power of this; 4 to 20.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// The salt, raw.
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// The key, with its final NUL byte where there is room for it; 1 to 72 bytes.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The one place where bcrypt is computed.
    pub(super) fn run(&self) -> Digest {
        // The crate's own helpers refuse 72 bytes or cut longer passwords; the raw function does neither.
        let raw = ::bcrypt::bcrypt(self.cost, self.salt, &self.key);
        // The 24th byte is in no bcrypt string.
        Digest::new(raw.into_iter().take(DIGEST_BYTES).collect())
    }
}

/// How the password becomes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// `$2a$`, `$2b$`, `$2y$`: the password itself. The three differ only in bugs that other implementations once had.
    None,
    /// `$bcrypt-sha256$2b,12$…`: base64 of its SHA-256. Read, never written.
    Sha256,
    /// `$bcrypt-sha256$v=2,t=2b,r=12$…`: base64 of its HMAC-SHA-256 under the text of the salt.
    HmacSha256,
}

/// A bcrypt hash string, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) wrapping: Wrapping,
    pub(super) cost: u32,
    pub(super) salt: [u8; 16],
    pub(super) digest: Vec<u8>,
}

impl Form {
    /// The form that a new hash of this password takes; its digest is still missing.
    pub(super) fn for_password(cost: u32, salt: [u8; 16], password: &[u8]) -> Self {
        let wrapping = match plain_key(password) {
            Some(_) => Wrapping::None,
            None => Wrapping::HmacSha256,
        };
        Self {
            wrapping,
            cost,
            salt,
            digest: Vec::new(),
        }
    }

    /// A hash that nobody knows a password for.
    pub(super) fn stand_in(cost: u32) -> Self {
        Self {
            wrapping: Wrapping::None,
            cost,
            salt: [0; 16],
            digest: vec![0; DIGEST_BYTES],
        }
    }

    /// What to compute for this password, and whether the result may count as a match.
    pub(super) fn work(&self, password: Option<&[u8]>) -> (BcryptWork, bool) {
        let key = password.and_then(|password| self.key(password));
        let may_match = key.is_some();
        // The time that bcrypt takes does not depend on the key, so any one stands in for a missing one.
        let key = key.unwrap_or_else(|| Zeroizing::new(vec![0]));
        (
            BcryptWork {
                cost: self.cost,
                salt: self.salt,
                key,
            },
            may_match,
        )
    }

    fn key(&self, password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self.wrapping {
            Wrapping::None => plain_key(password),
            Wrapping::Sha256 => Some(wrapped_key(
                digest::digest(&digest::SHA256, password).as_ref(),
            )),
            Wrapping::HmacSha256 => {
                let salt = hmac::Key::new(hmac::HMAC_SHA256, self.salt_text().as_bytes());
                Some(wrapped_key(hmac::sign(&salt, password).as_ref()))
            }
        }
    }

    fn salt_text(&self) -> String {
        BASE_64.encode(self.salt)
    }

    /// `None` if `text` is not a bcrypt string in one of the forms of [`Wrapping`], or its cost is out of range.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.strip_prefix('$')?.split_once('$')?;
        let (parameters, body) = rest.split_once('$')?;
        let (salt, digest) = body.split_at_checked(SALT_CHARACTERS)?;
        let (wrapping, cost, digest) = match name {
            "2a" | "2b" | "2y" => (Wrapping::None, two_digits(parameters)?, digest),
            "bcrypt-sha256" => {
                let (wrapping, cost) = wrapped_parameters(parameters)?;
                (wrapping, cost, digest.strip_prefix('$')?)
            }
            _ => return None,
        };
        let digest = BASE_64.decode(digest).ok()?;
        if !(MIN_COST..=MAX_COST).contains(&cost) || digest.len() != DIGEST_BYTES {
            return None;
        }
        let salt = BASE_64.decode(salt).ok()?.try_into().ok()?;
        Some(Self {
            wrapping,
            cost,
            salt,
            digest,
        })
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cost, wrapping, .. } = self;
        let salt = self.salt_text();
        let digest = BASE_64.encode(&self.digest);
        match wrapping {
            Wrapping::None => write!(f, "$2b${cost:02}${salt}{digest}"),
            Wrapping::Sha256 => write!(f, "$bcrypt-sha256$2b,{cost}${salt}${digest}"),
            Wrapping::HmacSha256 => write!(f, "$bcrypt-sha256$v=2,t=2b,r={cost}${salt}${digest}"),
        }
    }
}

fn two_digits(text: &str) -> Option<u32> {
    let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Wrapping and cost from the parameter section; the cost is not padded there, and passlib refuses one that is.
fn wrapped_parameters(text: &str) -> Option<(Wrapping, u32)> {
    if let Some(cost) = text.strip_prefix("v=2,t=2b,r=") {
        return Some((Wrapping::HmacSha256, normal::decimal(cost)?));
    }
    let cost = text
        .strip_prefix("2b,")
        .or_else(|| text.strip_prefix("2a,"))?;
    Some((Wrapping::Sha256, normal::decimal(cost)?))
}

/// The password and a NUL byte, as far as it has room; `None` for a password that bcrypt would cut or confuse.
fn plain_key(password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if password.len() > KEY_BYTES || password.contains(&0) {
        return None;
    }
    let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    key.extend_from_slice(password);
    key.push(0);
    key.truncate(KEY_BYTES);
    Some(key)
}

fn wrapped_key(hash: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut text = String::with_capacity(KEY_BYTES);
    STANDARD.encode_string(hash, &mut text);
    let mut key = Zeroizing::new(text.into_bytes());
    key.push(0);
    key
}
