use async_trait::async_trait;
use jiff::Timestamp;

use crate::{Act, Announcement, StoreError};

/// A signing key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key id (RFC 7638 thumbprint).
    pub kid: String,
    /// The JOSE name of its algorithm.
    pub algorithm: String,
    /// The public part, a JWK as JSON text.
    pub public_jwk: String,
    /// The private part, encrypted under the root secret.
    pub sealed_private: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// It signs from then on; before that it is only published.
    pub activates_at: Timestamp,
    /// From then on its signatures are refused. `None`: it has no successor yet.
    pub expires_at: Option<Timestamp>,
}

/// A signing key to be stored.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key id.
    pub kid: String,
    /// The JOSE name of its algorithm.
    pub algorithm: String,
    /// The public part, a JWK as JSON text.
    pub public_jwk: String,
    /// The private part, encrypted.
    pub sealed_private: Vec<u8>,
}

/// How a key joins those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallKey {
    /// Only if no key of its algorithm is in use, that is without a set end; otherwise nothing
    /// happens. Then as `Rotate`.
    IfMissing {
        /// When it signs, where other keys exist that verifiers know.
        activates_at: Timestamp,
        /// When those others expire.
        others_expire_at: Timestamp,
    },
    /// It is published now and signs from `activates_at`; the keys in use expire at `others_expire_at`.
    Rotate {
        /// When it signs.
        activates_at: Timestamp,
        /// When the keys now in use expire.
        others_expire_at: Timestamp,
    },
    /// It signs at once, all other keys are deleted, and every session of everybody that was opened
    /// before now has ended, with the reason `Emergency`.
    Emergency,
}

/// Signing keys, shared by all instances on one database.
#[async_trait]
pub trait Keys {
    /// All keys that have not expired at `now`, oldest first.
    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<KeyRecord>, StoreError>;

    /// Installs a key as `how` says, in one transaction, serialised among all instances: of ten that
    /// start at once on an empty database, one installs its key. The first key of an installation
    /// signs at once. Without a `key` only the others are affected, for installations whose key is a setting.
    /// Answers what was announced, or `None` where nothing happened.
    async fn install_key(
        &self,
        key: Option<&NewKey>,
        how: InstallKey,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError>;

    /// Stores `fingerprint` if none is stored yet, and answers the stored one. It tells whether the
    /// root secret at hand is the one that this database belongs to.
    async fn bind_root_secret(
        &self,
        fingerprint: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError>;
}
