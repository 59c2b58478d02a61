use countersign_store::KeyRecord;
use countersign_token::{Algorithm, KeySet, SigningKey, VerificationKey};
use jiff::Timestamp;

use super::seal::Seal;
use crate::fault::Fault;

/// The keys in use: which one signs at a given time, and which ones verify.
pub struct KeyRing {
    algorithm: Algorithm,
    signers: Vec<Signer>,
    views: Vec<KeyView>,
    verification: KeySet,
    jwks: String,
    changes_at: Option<Timestamp>,
}

struct Signer {
    key: SigningKey,
    activates_at: Timestamp,
}

/// A key as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyView {
    /// The key id.
    pub kid: String,
    /// The JOSE name of its algorithm.
    pub algorithm: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it begins to sign.
    pub activates_at: Timestamp,
    /// When it stops verifying.
    pub expires_at: Option<Timestamp>,
    /// Where it is in its life.
    pub status: KeyStatus,
}

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// Published, does not sign yet.
    Published,
    /// Signs.
    Signing,
    /// Signed once, still verifies.
    Retired,
}

impl KeyStatus {
    /// The name that operators see.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Signing => "signing",
            Self::Retired => "retired",
        }
    }
}

impl KeyRing {
    /// Opens the stored keys. `hs256` is the shared secret where tokens are signed with one.
    pub(crate) fn open(
        algorithm: Algorithm,
        records: &[KeyRecord],
        seal: &Seal,
        hs256: Option<&SigningSecret>,
        now: Timestamp,
    ) -> Result<Self, Fault> {
        let mut signers = Vec::with_capacity(records.len() + 1);
        for record in records {
            match open_record(record, seal) {
                Ok(key) => signers.push(Signer {
                    key,
                    activates_at: record.activates_at,
                }),
                // One spoilt row must not stop those that are whole.
                Err(error) => tracing::error!(kid = record.kid, %error, "cannot use a signing key"),
            }
        }
        if let Some(secret) = hs256 {
            let key = SigningKey::hs256(&secret.0).map_err(|e| Fault::Signing(e.to_string()))?;
            signers.push(Signer {
                key,
                activates_at: Timestamp::MIN,
            });
        }
        let keys: Vec<VerificationKey> = signers.iter().map(|s| s.key.verification_key()).collect();
        let verification = KeySet::new(keys);
        let jwks = verification.to_jwks().to_string();
        let mut ring = Self {
            algorithm,
            signers,
            views: Vec::new(),
            verification,
            jwks,
            changes_at: records
                .iter()
                .filter_map(|record| record.expires_at)
                .filter(|&at| at > now)
                .min(),
        };
        ring.views = records.iter().map(|r| ring.view(r, now)).collect();
        Ok(ring)
    }

    /// The key that signs at `now`: the newest active one of the configured algorithm, or, while
    /// that algorithm's first key is only published, of any. A clock that stands before all of them
    /// was set back, or is behind that of the instance that made the first key: then the oldest
    /// signs, since refusing everybody would help nobody.
    pub fn signer(&self, now: Timestamp) -> Option<&SigningKey> {
        let active = self.signers.iter().filter(|s| s.activates_at <= now);
        active
            .max_by_key(|signer| {
                let preferred = signer.key.algorithm() == self.algorithm;
                (preferred, signer.activates_at)
            })
            .or_else(|| self.signers.iter().min_by_key(|s| s.activates_at))
            .map(|signer| &signer.key)
    }

    /// The keys that verify.
    pub fn verification(&self) -> &KeySet {
        &self.verification
    }

    /// The public keys as a JWK set (RFC 7517), as JSON text.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// The stored keys as operators see them.
    pub fn views(&self) -> &[KeyView] {
        &self.views
    }

    /// Whether a key has expired since the ring was made.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.changes_at.is_some_and(|at| at <= now)
    }

    fn view(&self, record: &KeyRecord, now: Timestamp) -> KeyView {
        let signing = self.signer(now).is_some_and(|key| key.kid() == record.kid);
        KeyView {
            kid: record.kid.clone(),
            algorithm: record.algorithm.clone(),
            created_at: record.created_at,
            activates_at: record.activates_at,
            expires_at: record.expires_at,
            status: match signing {
                true => KeyStatus::Signing,
                false if record.activates_at > now => KeyStatus::Published,
                false => KeyStatus::Retired,
            },
        }
    }
}

/// The shared secret of HS256. Wiped on drop; `Debug` hides it.
#[derive(Clone)]
pub struct SigningSecret(zeroize::Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// Wraps the secret, at least 32 bytes (RFC 7518, section 3.2).
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }
}

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret")
    }
}

fn open_record(record: &KeyRecord, seal: &Seal) -> Result<SigningKey, Fault> {
    let algorithm: Algorithm = record
        .algorithm
        .parse()
        .map_err(|_| Fault::Signing(format!("key of unknown algorithm: {}", record.algorithm)))?;
    let private = seal
        .open(&record.kid, &record.sealed_private)
        .map_err(|error| Fault::Signing(error.to_string()))?;
    let key = SigningKey::from_pkcs8(algorithm, &private)
        .map_err(|error| Fault::Signing(error.to_string()))?;
    // The public part is what other verifiers were given; a private part that does not match it
    // would sign tokens that nobody accepts.
    match key.kid() == record.kid {
        true => Ok(key),
        false => Err(Fault::Signing(format!(
            "stored signing key does not match its id: {}",
            record.kid
        ))),
    }
}
