//! argon2id (RFC 9106) as PHC strings.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::normal;
use super::work::{Digest, OutOfMemory};

/// A stored string must not make the server reserve gigabytes or compute for hours: 1 GiB, 64 passes, 16 lanes.
pub(super) const MAX: Parameters = Parameters {
    memory_kib: 1 << 20,
    iterations: 64,
    parallelism: 16,
};
/// RFC 9106, section 3.1: at least 8 KiB a lane.
const MIN_MEMORY_KIB_PER_LANE: u32 = 8;
pub(super) const SALT_BYTES: usize = 16;
pub(super) const DIGEST_BYTES: usize = 32;

/// What argon2id costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) memory_kib: u32,
    pub(super) iterations: u32,
    pub(super) parallelism: u32,
}

impl Parameters {
    /// The nearest parameters that are allowed.
    pub(super) fn clamped(self) -> Self {
        let parallelism = self.parallelism.clamp(1, MAX.parallelism);
        let least = MIN_MEMORY_KIB_PER_LANE * parallelism;
        Self {
            memory_kib: self.memory_kib.clamp(least, MAX.memory_kib),
            iterations: self.iterations.clamp(1, MAX.iterations),
            parallelism,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let (memory, rest) = text.strip_prefix("m=")?.split_once(",t=")?;
        let (iterations, parallelism) = rest.split_once(",p=")?;
        let read = Self {
            memory_kib: normal::decimal(memory)?,
            iterations: normal::decimal(iterations)?,
            parallelism: normal::decimal(parallelism)?,
        };
        (read == read.clamped()).then_some(read)
    }
}

/// The inputs of one argon2id computation. Wiped from memory when dropped.
pub struct Argon2idWork {
    parameters: Parameters,
    salt: Vec<u8>,
    digest_bytes: usize,
    password: Zeroizing<Vec<u8>>,
}

impl Argon2idWork {
    pub(super) fn run(&self) -> Result<Digest, OutOfMemory> {
        let Parameters {
            memory_kib,
            iterations,
            parallelism,
        } = self.parameters;
        let mut digest = vec![0; self.digest_bytes];
        // Parameters, salt and digest length are checked wherever this type is made, which leaves memory to fail.
        Params::new(memory_kib, iterations, parallelism, Some(self.digest_bytes))
            .and_then(|parameters| {
                Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters).hash_password_into(
                    &self.password,
                    &self.salt,
                    &mut digest,
                )
            })
            .map_err(|_| OutOfMemory)?;
        Ok(Digest::new(digest))
    }
}

/// An argon2id hash string, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) parameters: Parameters,
    pub(super) salt: Vec<u8>,
    pub(super) digest: Vec<u8>,
}

impl Form {
    /// A hash that nobody knows a password for; also the form of a new hash, whose digest is put in later.
    pub(super) fn stand_in(parameters: Parameters, salt: [u8; SALT_BYTES]) -> Self {
        Self {
            parameters,
            salt: salt.to_vec(),
            digest: vec![0; DIGEST_BYTES],
        }
    }

    /// What to compute for this password, and whether the result may count as a match.
    pub(super) fn work(&self, password: Option<&[u8]>) -> (Argon2idWork, bool) {
        let work = Argon2idWork {
            parameters: self.parameters,
            salt: self.salt.clone(),
            digest_bytes: self.digest.len(),
            password: Zeroizing::new(password.unwrap_or_default().to_vec()),
        };
        (work, password.is_some())
    }

    /// `None` if `text` is not an argon2id string of version 19, with the parameters in the order m, t, p,
    /// or if anything is out of range.
    pub(super) fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$v=19$")?;
        let (parameters, rest) = rest.split_once('$')?;
        let (salt, digest) = rest.split_once('$')?;
        let form = Self {
            parameters: Parameters::read(parameters)?,
            salt: STANDARD_NO_PAD.decode(salt).ok()?,
            digest: STANDARD_NO_PAD.decode(digest).ok()?,
        };
        let lengths = (8..=64).contains(&form.salt.len()) && (16..=64).contains(&form.digest.len());
        lengths.then_some(form)
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parameters {
            memory_kib,
            iterations,
            parallelism,
        } = self.parameters;
        let salt = STANDARD_NO_PAD.encode(&self.salt);
        let digest = STANDARD_NO_PAD.encode(&self.digest);
        write!(
            f,
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}${salt}${digest}"
        )
    }
}
