use thiserror::Error;

use super::argon2id::Parameters;
use super::hash::Form;
use super::work::{Digest, OutOfMemory, Work};
use super::{NewPassword, PasswordHash, PresentedPassword, argon2id, bcrypt};

/// How new passwords are hashed: the operator's setting.
///
/// Values outside the bounds of [`check`](Self::check) act as the nearest one inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// bcrypt: `$2b$…`, or passlib's `$bcrypt-sha256$v=2,…` for passwords of more than 72 bytes or with a NUL byte.
    Bcrypt {
        /// 2 to the power of this many rounds; 4 to 20.
        cost: u32,
    },
    /// argon2id as a PHC string.
    Argon2id {
        /// Memory in KiB; 8 per lane to 1,048,576.
        memory_kib: u32,
        /// Passes over the memory; 1 to 64.
        iterations: u32,
        /// Lanes, computed one after the other; 1 to 16.
        parallelism: u32,
    },
}

/// A setting that is out of bounds.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SchemeIssue {
    /// The cost of bcrypt.
    #[error("the bcrypt cost must be 4 to 20")]
    Cost,
    /// One of the parameters of argon2id.
    #[error(
        "argon2id takes 8 KiB per lane to 1 GiB of memory, 1 to 64 iterations and 1 to 16 lanes"
    )]
    Argon2id,
}

impl Default for Scheme {
    fn default() -> Self {
        Self::Bcrypt { cost: 12 }
    }
}

impl Scheme {
    /// argon2id with the parameters that OWASP's Password Storage Cheat Sheet recommends: 19 MiB, 2 iterations, 1 lane.
    pub const ARGON2ID: Self = Self::Argon2id {
        memory_kib: 19 * 1_024,
        iterations: 2,
        parallelism: 1,
    };

    /// Whether the setting can be used as it stands.
    ///
    /// # Errors
    /// The [`SchemeIssue`] to show to the operator.
    pub fn check(&self) -> Result<(), SchemeIssue> {
        match self {
            _ if self.clamped() == *self => Ok(()),
            Self::Bcrypt { .. } => Err(SchemeIssue::Cost),
            Self::Argon2id { .. } => Err(SchemeIssue::Argon2id),
        }
    }

    /// Hashes a new password. The salt must be random and used once.
    ///
    /// # Panics
    /// If argon2id cannot get its memory, as any failed allocation does; the password is then not set.
    pub fn hash(&self, password: &NewPassword, salt: [u8; 16]) -> PasswordHash {
        match self.hashing(password, salt).run() {
            Ok(hash) => hash,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hashes a password that was just found right against an older hash. It need not be one that could be chosen
    /// today: the rules may have been others when it was. `None` if it matches no hash at all, or if argon2id cannot
    /// get its memory.
    pub fn rehash(&self, password: &PresentedPassword, salt: [u8; 16]) -> Option<PasswordHash> {
        self.rehashing(password, salt)?.run().ok()
    }

    /// The same as [`hash`](Self::hash), taken apart for a pool.
    pub fn hashing(&self, password: &NewPassword, salt: [u8; 16]) -> Hashing {
        self.prepare(password.as_bytes(), salt)
    }

    /// The same as [`rehash`](Self::rehash), taken apart for a pool.
    pub fn rehashing(&self, password: &PresentedPassword, salt: [u8; 16]) -> Option<Hashing> {
        Some(self.prepare(password.as_bytes()?, salt))
    }

    fn prepare(&self, password: &[u8], salt: [u8; 16]) -> Hashing {
        match self.clamped() {
            Self::Bcrypt { cost } => {
                let form = bcrypt::Form::for_password(cost, salt, password);
                let (work, _) = form.work(Some(password));
                Hashing {
                    work: Work::Bcrypt(work),
                    form: Form::Bcrypt(form),
                }
            }
            Self::Argon2id {
                memory_kib,
                iterations,
                parallelism,
            } => {
                let parameters = Parameters {
                    memory_kib,
                    iterations,
                    parallelism,
                };
                let form = argon2id::Form::stand_in(parameters, salt);
                let (work, _) = form.work(Some(password));
                Hashing {
                    work: Work::Argon2id(work),
                    form: Form::Argon2id(form),
                }
            }
        }
    }

    /// Whether a hash should be replaced when its password is next presented: it is of another kind, or any of its
    /// parameters differs from the setting. `$2a$` and `$2y$` are bcrypt like `$2b$` and may stay.
    pub fn needs_rehash(&self, hash: &PasswordHash) -> bool {
        match (self.clamped(), hash.form()) {
            (Self::Bcrypt { cost }, Form::Bcrypt(form)) => {
                form.cost != cost || form.wrapping == bcrypt::Wrapping::Sha256
            }
            (
                Self::Argon2id {
                    memory_kib,
                    iterations,
                    parallelism,
                },
                Form::Argon2id(form),
            ) => {
                form.parameters
                    != Parameters {
                        memory_kib,
                        iterations,
                        parallelism,
                    }
                    || form.salt.len() < argon2id::SALT_BYTES
                    || form.digest.len() < argon2id::DIGEST_BYTES
            }
            _ => true,
        }
    }

    /// Stand-ins whose work, done in addition to that of a stored hash, makes up the work of a new one. Without it a
    /// wrong password for a user with an old, cheaper hash would be answered sooner than one for nobody.
    ///
    /// Exact for bcrypt, where the costs below the configured one add up to it. For a hash of another kind the whole
    /// work of a new one is added, and for a costlier one nothing can be: both take longer, until the user's next
    /// sign-in replaces the hash.
    pub fn padding(&self, stored: &PasswordHash) -> Vec<PasswordHash> {
        match (self.clamped(), stored.form()) {
            (Self::Bcrypt { cost }, Form::Bcrypt(form)) => (form.cost..cost)
                .map(|cost| Self::Bcrypt { cost }.stand_in())
                .collect(),
            _ if self.needs_rehash(stored) => vec![self.stand_in()],
            _ => Vec::new(),
        }
    }

    /// A hash that no known password matches, of the cost that a new one would have. Verifying against it does the
    /// same work as against a real one: for users who do not exist or have no password.
    pub fn stand_in(&self) -> PasswordHash {
        // A password for an all-zero digest would be a preimage of 184 bits or more.
        PasswordHash::from(match self.clamped() {
            Self::Bcrypt { cost } => Form::Bcrypt(bcrypt::Form::stand_in(cost)),
            Self::Argon2id {
                memory_kib,
                iterations,
                parallelism,
            } => {
                let parameters = Parameters {
                    memory_kib,
                    iterations,
                    parallelism,
                };
                Form::Argon2id(argon2id::Form::stand_in(
                    parameters,
                    [0; argon2id::SALT_BYTES],
                ))
            }
        })
    }

    fn clamped(self) -> Self {
        match self {
            Self::Bcrypt { cost } => Self::Bcrypt {
                cost: cost.clamp(bcrypt::MIN_COST, bcrypt::MAX_COST),
            },
            Self::Argon2id {
                memory_kib,
                iterations,
                parallelism,
            } => {
                let Parameters {
                    memory_kib,
                    iterations,
                    parallelism,
                } = Parameters {
                    memory_kib,
                    iterations,
                    parallelism,
                }
                .clamped();
                Self::Argon2id {
                    memory_kib,
                    iterations,
                    parallelism,
                }
            }
        }
    }
}

/// A new password between preparation and hash.
pub struct Hashing {
    work: Work,
    form: Form,
}

impl Hashing {
    /// What has to be computed first.
    pub fn work(&self) -> &Work {
        &self.work
    }

    fn run(self) -> Result<PasswordHash, OutOfMemory> {
        let digest = self.work.run()?;
        Ok(self.finish(digest))
    }

    /// The hash to store, from the digest of [`work`](Self::work).
    pub fn finish(self, digest: Digest) -> PasswordHash {
        let mut form = self.form;
        match &mut form {
            Form::Bcrypt(form) => form.digest = digest.into_bytes(),
            Form::Argon2id(form) => form.digest = digest.into_bytes(),
        }
        PasswordHash::from(form)
    }
}
