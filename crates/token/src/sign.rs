use std::fmt;

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};

use crate::{Algorithm, Claims, KeyError, MAX_TOKEN_BYTES, VerificationKey, encoding, jwk};

/// A key that signs tokens, parsed once. `Debug` shows its id and algorithm only; the cryptographic library wipes the secret on drop.
pub struct SigningKey {
    secret: Secret,
    verification: VerificationKey,
}

enum Secret {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    Hs256(Box<hmac::Key>),
}

impl SigningKey {
    /// Reads an unencrypted private key in PKCS #8 (DER; RFC 5208, RFC 5958): Ed25519 for `EdDsa`, P-256 for `Es256`, RSA of 2048 to 8192 bits for `Rs256`.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for `Hs256`, [`KeyError::WeakKey`] for an unsafe RSA exponent, otherwise [`KeyError::Malformed`]: also where the key is one of another
    /// algorithm or an RSA key of another size.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: &[u8]) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?;
                let verification = jwk::ed25519(pair.public_key().as_ref())?;
                Ok(Self::new(Secret::EdDsa(pair), verification))
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8)
                    .map_err(|_| KeyError::Malformed)?;
                let (x, y) = coordinates(pair.public_key().as_ref()).ok_or(KeyError::Malformed)?;
                let verification = jwk::p256(x, y)?;
                Ok(Self::new(Secret::Es256(pair), verification))
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?;
                let public = pair.public_key();
                let verification = jwk::rsa(
                    public.modulus().big_endian_without_leading_zero(),
                    public.exponent().big_endian_without_leading_zero(),
                )?;
                Ok(Self::new(Secret::Rs256(pair), verification))
            }
            Algorithm::Hs256 => Err(KeyError::Unsupported),
        }
    }

    /// The HMAC key for HS256.
    ///
    /// # Errors
    /// [`KeyError::SecretTooShort`] under [`MIN_SECRET_BYTES`](crate::MIN_SECRET_BYTES).
    pub fn hs256(secret: &[u8]) -> Result<Self, KeyError> {
        let verification = VerificationKey::hs256(secret)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Ok(Self::new(Secret::Hs256(Box::new(key)), verification))
    }

    fn new(secret: Secret, verification: VerificationKey) -> Self {
        Self {
            secret,
            verification,
        }
    }

    /// The key id that tokens of this key name.
    pub fn kid(&self) -> &str {
        self.verification.kid()
    }

    /// The algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.verification.algorithm()
    }

    /// The key that verifies what this one signs.
    pub fn verification_key(&self) -> VerificationKey {
        self.verification.clone()
    }

    /// An access token with these claims. The header is exactly `alg`, `typ` (`at+jwt`) and `kid`.
    ///
    /// # Errors
    /// [`SigningError::TooLong`] where a verifier would refuse the token for its length; [`SigningError::Crypto`] where the cryptographic library fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, SigningError> {
        let payload = serde_json::to_vec(claims).map_err(|_| SigningError::Claims)?;
        let header = self.verification.header();
        // Room for the dots and for the signature of RSA with 2048 bits, the longest of the usual ones.
        let room = header.len() + payload.len() * 4 / 3 + 350;
        let mut token = String::with_capacity(room);
        token.push_str(header);
        token.push('.');
        encoding::append(&mut token, &payload);
        self.append_signature(&mut token)?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SigningError::TooLong);
        }
        Ok(token)
    }

    fn append_signature(&self, token: &mut String) -> Result<(), SigningError> {
        // The library asks for a source of randomness, and takes its own.
        let random = SystemRandom::new();
        let message = token.as_bytes();
        match &self.secret {
            Secret::EdDsa(pair) => {
                let signature = pair.try_sign(message)?;
                append_part(token, signature.as_ref());
            }
            Secret::Es256(pair) => {
                let signature = pair.sign(&random, message)?;
                append_part(token, signature.as_ref());
            }
            Secret::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                append_part(token, &signature);
            }
            Secret::Hs256(key) => {
                let signature = hmac::sign(key, message);
                append_part(token, signature.as_ref());
            }
        }
        Ok(())
    }
}

fn append_part(token: &mut String, bytes: &[u8]) {
    token.push('.');
    encoding::append(token, bytes);
}

/// The coordinates of an uncompressed point (SEC 1 §2.3.3).
fn coordinates(point: &[u8]) -> Option<(&[u8], &[u8])> {
    let (form, coordinates) = point.split_first()?;
    (*form == 4).then(|| coordinates.split_at_checked(32))?
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid())
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

/// Why a token could not be signed. Contains nothing of the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SigningError {
    /// The claims cannot be written as JSON.
    Claims,
    /// Longer than [`MAX_TOKEN_BYTES`]: every verifier would refuse it.
    TooLong,
    /// The cryptographic library failed.
    Crypto,
}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claims => "the claims cannot be written as JSON",
            Self::TooLong => "the token would be longer than any verifier accepts",
            Self::Crypto => "signing failed in the cryptographic library",
        })
    }
}

impl std::error::Error for SigningError {}

impl From<aws_lc_rs::error::Unspecified> for SigningError {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self::Crypto
    }
}
