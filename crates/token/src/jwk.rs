//! Public keys as JWK (RFC 7517, RFC 7518 §6, RFC 8037 §2) and their thumbprints (RFC 7638).

use aws_lc_rs::{
    digest,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

use crate::{Algorithm, KeyError, VerificationKey, encoding};

/// The members that make up a public key, in base64url.
#[derive(Debug, Clone)]
pub(crate) enum PublicNumbers {
    Ed25519 { x: String },
    P256 { x: String, y: String },
    Rsa { n: String, e: String },
}

impl PublicNumbers {
    /// RFC 7638 §3: the required members only, in lexicographic order, without white space. No value needs escaping.
    pub(crate) fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#),
            Self::P256 { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        encoding::encode(digest::digest(&digest::SHA256, members.as_bytes()).as_ref())
    }

    pub(crate) fn to_jwk(&self, algorithm: Algorithm, kid: &str) -> Value {
        let alg = algorithm.as_str();
        match self {
            Self::Ed25519 { x } => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": alg, "kid": kid, "use": "sig"})
            }
            Self::P256 { x, y } => {
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": alg, "kid": kid, "use": "sig"})
            }
            Self::Rsa { n, e } => {
                json!({"kty": "RSA", "n": n, "e": e, "alg": alg, "kid": kid, "use": "sig"})
            }
        }
    }
}

/// [`KeyError::Unsupported`] where the key is for something else; any other error where it claims to be for us and is wrong.
pub(crate) fn read(jwk: &Value) -> Result<VerificationKey, KeyError> {
    let members = jwk.as_object().ok_or(KeyError::Malformed)?;
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let kind = (text("kty"), text("crv"), text("alg"));
    let for_verifying = members.get("use").is_none_or(|usage| usage == "sig")
        && members.get("key_ops").is_none_or(|operations| {
            operations
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == "verify"))
        });
    if !for_verifying {
        return Err(KeyError::Unsupported);
    }
    if members.contains_key("d") {
        return Err(KeyError::PrivateKey);
    }
    let number = |name: &str| {
        let text = text(name).ok_or(KeyError::Malformed)?;
        encoding::decode(text).map_err(|_| KeyError::Malformed)
    };
    let key = match kind {
        (Some("OKP"), Some("Ed25519"), Some("EdDSA")) => ed25519(&number("x")?)?,
        (Some("EC"), Some("P-256"), Some("ES256")) => p256(&number("x")?, &number("y")?)?,
        (Some("RSA"), _, Some("RS256")) => rsa(&number("n")?, &number("e")?)?,
        // Above all `oct`: a document that everybody may read cannot bring a secret.
        _ => return Err(KeyError::Unsupported),
    };
    match members.get("kid") {
        Some(kid) if kid != key.kid() => Err(KeyError::KeyIdMismatch),
        _ => Ok(key),
    }
}

pub(crate) fn ed25519(x: &[u8]) -> Result<VerificationKey, KeyError> {
    if x.len() != 32 {
        return Err(KeyError::Malformed);
    }
    let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyError::Malformed)?;
    let numbers = PublicNumbers::Ed25519 {
        x: encoding::encode(x),
    };
    Ok(VerificationKey::public(Algorithm::EdDsa, key, numbers))
}

pub(crate) fn p256(x: &[u8], y: &[u8]) -> Result<VerificationKey, KeyError> {
    // RFC 7518 §6.2.1.2: always the full 32 bytes.
    if x.len() != 32 || y.len() != 32 {
        return Err(KeyError::Malformed);
    }
    let point = [&[4], x, y].concat();
    let key =
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| KeyError::Malformed)?;
    let numbers = PublicNumbers::P256 {
        x: encoding::encode(x),
        y: encoding::encode(y),
    };
    Ok(VerificationKey::public(Algorithm::Es256, key, numbers))
}

pub(crate) fn rsa(n: &[u8], e: &[u8]) -> Result<VerificationKey, KeyError> {
    // RFC 7518 §6.3.1: no leading zero bytes, or one key would have several thumbprints.
    if n.first().is_none_or(|byte| *byte == 0) || e.first().is_none_or(|byte| *byte == 0) {
        return Err(KeyError::Malformed);
    }
    let exponent = match e.len() {
        1..=4 => e.iter().fold(0u32, |sum, byte| sum << 8 | u32::from(*byte)),
        _ => 0,
    };
    let bits = n.len() * 8 - n.first().map_or(0, |byte| byte.leading_zeros() as usize);
    if exponent < 65537 || exponent % 2 == 0 || !(2048..=8192).contains(&bits) {
        return Err(KeyError::WeakKey);
    }
    let key = RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
        .map_err(|_| KeyError::Malformed)?;
    let numbers = PublicNumbers::Rsa {
        n: encoding::encode(n),
        e: encoding::encode(e),
    };
    Ok(VerificationKey::public(Algorithm::Rs256, key, numbers))
}
