use std::fmt;

use aws_lc_rs::{hmac, signature::ParsedPublicKey};
use serde_json::Value;

use crate::{
    Algorithm, Refusal, encoding,
    jwk::{self, PublicNumbers},
};

/// The shortest HS256 secret, in bytes (RFC 7518 §3.2).
pub const MIN_SECRET_BYTES: usize = 32;

/// A key that verifies tokens, and the one algorithm that it is for.
#[derive(Clone)]
pub struct VerificationKey {
    kid: String,
    algorithm: Algorithm,
    header: Box<str>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Public {
        key: ParsedPublicKey,
        numbers: PublicNumbers,
    },
    Hmac(Box<hmac::Key>),
}

impl VerificationKey {
    /// Reads a public key from a JWK (RFC 7517 §4): `OKP`/`Ed25519` for EdDSA, `EC`/`P-256` for ES256, `RSA` for RS256. `alg` is
    /// required; `kid` may be absent and must otherwise be the key's thumbprint (RFC 7638, SHA-256), so that no key can stand in for another.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for a key of another kind or use, otherwise what is wrong with it.
    pub fn from_jwk(jwk: &Value) -> Result<Self, KeyError> {
        jwk::read(jwk)
    }

    /// The HMAC key for HS256. Its id is derived from the secret and does not reveal it.
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`] under [`MIN_SECRET_BYTES`].
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(KeyError::SecretTooShort);
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let label = hmac::sign(&key, b"countersign hs256 kid");
        let kid = encoding::encode(label.as_ref().get(..8).unwrap_or_default());
        Ok(Self::new(
            kid,
            Algorithm::Hs256,
            Material::Hmac(Box::new(key)),
        ))
    }

    pub(crate) fn public(
        algorithm: Algorithm,
        key: ParsedPublicKey,
        numbers: PublicNumbers,
    ) -> Self {
        let kid = numbers.thumbprint();
        Self::new(kid, algorithm, Material::Public { key, numbers })
    }

    fn new(kid: String, algorithm: Algorithm, material: Material) -> Self {
        // Neither name nor id needs escaping: both are base64url characters.
        let header = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
        Self {
            kid,
            algorithm,
            header: encoding::encode(header.as_bytes()).into(),
            material,
        }
    }

    /// The key id, which the header of every token names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The algorithm that this key is for.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public JWK, with `kid`, `alg` and `use`. `None` for an HMAC key, which must not be published.
    pub fn to_jwk(&self) -> Option<Value> {
        match &self.material {
            Material::Public { numbers, .. } => Some(numbers.to_jwk(self.algorithm, &self.kid)),
            Material::Hmac(_) => None,
        }
    }

    /// The header that we write when we sign with this key, in base64url.
    pub(crate) fn header(&self) -> &str {
        &self.header
    }

    pub(crate) fn check(&self, message: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let verdict = match &self.material {
            Material::Public { key, .. } => key.verify_sig(message, signature),
            Material::Hmac(key) => hmac::verify(key, message, signature),
        };
        verdict.map_err(|_| Refusal::BadSignature)
    }
}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Why a key or a key set cannot be used. Contains nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the form that it should have.
    Malformed,
    /// For another algorithm, curve or use.
    Unsupported,
    /// A private key where a public one belongs.
    PrivateKey,
    /// RSA under 2048 or over 8192 bits, or with a public exponent that is even or under 65537.
    WeakKey,
    /// `kid` is not the key's thumbprint.
    KeyIdMismatch,
    /// One key set has the same key twice.
    DuplicateKey,
    /// More than [`MAX_KEYS`](crate::MAX_KEYS) keys in one set.
    TooManyKeys,
    /// An HS256 secret of fewer than [`MIN_SECRET_BYTES`] bytes.
    SecretTooShort,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the key is malformed",
            Self::Unsupported => "the key is for another algorithm or use",
            Self::PrivateKey => "a private key where a public one belongs",
            Self::WeakKey => "the RSA key is too weak or too large",
            Self::KeyIdMismatch => "the key id is not the key's thumbprint",
            Self::DuplicateKey => "the key set has the same key twice",
            Self::TooManyKeys => "the key set has too many keys",
            Self::SecretTooShort => "the HS256 secret has fewer than 32 bytes",
        })
    }
}

impl std::error::Error for KeyError {}
