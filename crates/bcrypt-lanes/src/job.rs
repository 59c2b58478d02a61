use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// The costs that bcrypt defines.
const COSTS: std::ops::RangeInclusive<u32> = 4..=31;
const KEY_BYTES: usize = 72;

/// The inputs of one bcrypt computation. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Job {
    iterations: u32,
    salt: [u32; 4],
    key: Zeroizing<[u32; 18]>,
}

/// Why there is no such [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIssue {
    /// The cost is not 4 to 31.
    Cost,
    /// The key is empty, or longer than 72 bytes. Implementations that cut it there make passwords equal that are not.
    Key,
}

impl fmt::Display for JobIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cost => "a bcrypt cost is 4 to 31",
            Self::Key => "a bcrypt key has 1 to 72 bytes",
        })
    }
}

impl std::error::Error for JobIssue {}

impl Job {
    /// A job of 2 to the power of `cost` iterations. The `key` is what `$2a$`, `$2b$` and `$2y$` make of a password:
    /// its bytes and a NUL byte, the first 72 of them. Bytes of any value count, NUL too.
    ///
    /// # Errors
    /// [`JobIssue`], where the `bcrypt` crate's raw function would panic.
    pub fn new(cost: u32, salt: [u8; 16], key: &[u8]) -> Result<Self, JobIssue> {
        if !COSTS.contains(&cost) {
            return Err(JobIssue::Cost);
        }
        if key.is_empty() || key.len() > KEY_BYTES {
            return Err(JobIssue::Key);
        }
        let mut job = Self {
            iterations: 1 << cost,
            salt: [0; 4],
            key: Zeroizing::new([0; 18]),
        };
        fill(&mut job.salt, &salt);
        fill(job.key.as_mut_slice(), key);
        Ok(job)
    }

    pub(crate) fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(crate) fn salt_words(&self) -> [u32; 4] {
        self.salt
    }

    pub(crate) fn key_words(&self) -> &[u32; 18] {
        &self.key
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        self.salt.zeroize();
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// Big-endian words, from the bytes over and over.
fn fill(words: &mut [u32], bytes: &[u8]) {
    let mut bytes = bytes.iter().cycle();
    for word in words {
        for byte in bytes.by_ref().take(4) {
            *word = *word << 8 | u32::from(*byte);
        }
    }
}
