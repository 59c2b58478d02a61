use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::{KeyError, VerificationKey, jwk};

/// The most keys that a set read from a document may have. An issuer has one or two, three during a rotation.
pub const MAX_KEYS: usize = 64;

/// The keys that are trusted at one moment. It never changes: after a rotation, put a new set in its place.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    generation: u64,
}

impl KeySet {
    /// A set of these keys. A key id names its key's own bytes, so two keys of one id are the same key and the second is dropped.
    pub fn new(keys: Vec<VerificationKey>) -> Self {
        static NEXT_GENERATION: AtomicU64 = AtomicU64::new(0);
        let mut distinct: Vec<VerificationKey> = Vec::with_capacity(keys.len());
        for key in keys {
            if !distinct.iter().any(|known| known.kid() == key.kid()) {
                distinct.push(key);
            }
        }
        Self {
            keys: distinct,
            generation: NEXT_GENERATION.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Reads a JWK set (RFC 7517 §5).
    ///
    /// Keys that are for something else are skipped: another `kty`, `crv` or `alg`, or none, or a `use` or `key_ops` other than verifying. Symmetric keys
    /// (`oct`) are skipped as well: a document that everybody may read cannot bring a secret.
    ///
    /// # Errors
    /// The text is no JWK set, has more than [`MAX_KEYS`] keys, has the same key twice, or one of our algorithms' keys is
    /// malformed, too weak, private, or under a key id that is not its thumbprint.
    pub fn from_jwks(text: &str) -> Result<Self, KeyError> {
        let document: Value = serde_json::from_str(text).map_err(|_| KeyError::Malformed)?;
        let members = document
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeyError::Malformed)?;
        if members.len() > MAX_KEYS {
            return Err(KeyError::TooManyKeys);
        }
        let mut keys: Vec<VerificationKey> = Vec::with_capacity(members.len());
        for member in members {
            match jwk::read(member) {
                Ok(key) if keys.iter().any(|known| known.kid() == key.kid()) => {
                    return Err(KeyError::DuplicateKey);
                }
                Ok(key) => keys.push(key),
                Err(KeyError::Unsupported) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self::new(keys))
    }

    /// The JWK set to publish: `{"keys": [...]}`. HMAC keys are left out.
    pub fn to_jwks(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .filter_map(VerificationKey::to_jwk)
            .collect();
        json!({ "keys": keys })
    }

    /// The key with this id.
    pub fn get(&self, kid: &str) -> Option<&VerificationKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none. Every token is then refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &VerificationKey> {
        self.keys.iter()
    }

    /// Differs between any two sets that are made in one process, also between sets of the same keys.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The key for which we write exactly this header (base64url).
    pub(crate) fn with_header(&self, header: &str) -> Option<&VerificationKey> {
        self.keys.iter().find(|key| key.header() == header)
    }
}
