//! Fixed keys, ordinary claims, and a signer that signs anything.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use base64::{Engine, prelude::*};
use countersign_token::{Algorithm, Claims, Expectations, KeySet, SigningKey, Verifier};
use uuid::Uuid;

pub(crate) const NOW: i64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://auth.example.com";
pub(crate) const AUDIENCE: &str = "https://api.example.com";
pub(crate) const SECRET: &[u8] = b"test secret of the shared vectors: known to everybody";
pub(crate) const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::EdDsa,
    Algorithm::Es256,
    Algorithm::Rs256,
    Algorithm::Hs256,
];

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unbase64url(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// The private key of an asymmetric algorithm, from `tests/keys`. `other` gives one that belongs to no key set.
pub(crate) fn pkcs8(algorithm: Algorithm, other: bool) -> Vec<u8> {
    let text = match (algorithm, other) {
        (Algorithm::EdDsa, false) => include_str!("../keys/ed25519.pkcs8.b64"),
        (Algorithm::EdDsa, true) => include_str!("../keys/ed25519-other.pkcs8.b64"),
        (Algorithm::Es256, false) => include_str!("../keys/p256.pkcs8.b64"),
        (Algorithm::Es256, true) => include_str!("../keys/p256-other.pkcs8.b64"),
        (Algorithm::Rs256, false) => include_str!("../keys/rsa2048.pkcs8.b64"),
        (Algorithm::Rs256, true) => include_str!("../keys/rsa2048-other.pkcs8.b64"),
        (Algorithm::Hs256, _) => panic!("HS256 has a secret, not a key file"),
    };
    BASE64_STANDARD.decode(text.replace('\n', "")).unwrap()
}

pub(crate) fn signing_key(algorithm: Algorithm) -> SigningKey {
    match algorithm {
        Algorithm::Hs256 => SigningKey::hs256(SECRET).unwrap(),
        _ => SigningKey::from_pkcs8(algorithm, &pkcs8(algorithm, false)).unwrap(),
    }
}

pub(crate) fn key_set() -> KeySet {
    KeySet::new(ALGORITHMS.map(|a| signing_key(a).verification_key()).into())
}

pub(crate) fn expectations() -> Expectations {
    Expectations {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        leeway_seconds: 5,
        max_lifetime_seconds: Some(3600),
    }
}

pub(crate) fn verifier() -> Verifier {
    Verifier::new(expectations())
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x018f_4d2e_0000_7000_8000_0000_0000_0000 + number)
}

pub(crate) fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        sub: id(1),
        aud: AUDIENCE.into(),
        iat: NOW,
        exp: NOW + 900,
        nbf: None,
        jti: id(2),
        sid: id(3),
        auth_time: NOW - 60,
        amr: vec!["pwd".into(), "otp".into()],
        scope: "profile orders:read".into(),
        roles: vec!["admin".into()],
    }
}

/// A key that signs any bytes, without the rules of `SigningKey`.
pub(crate) enum RawKey {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    Hs256(Vec<u8>),
}

impl RawKey {
    pub(crate) fn new(algorithm: Algorithm, other: bool) -> Self {
        let pkcs8 = || pkcs8(algorithm, other);
        match algorithm {
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::from_pkcs8(&pkcs8()).unwrap()),
            Algorithm::Es256 => Self::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8()).unwrap(),
            ),
            Algorithm::Rs256 => Self::Rs256(RsaKeyPair::from_pkcs8(&pkcs8()).unwrap()),
            Algorithm::Hs256 if other => Self::Hs256(b"another secret, also 32 bytes long".into()),
            Algorithm::Hs256 => Self::Hs256(SECRET.into()),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::EdDsa(pair) => pair.sign(message).as_ref().into(),
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().into(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Hs256(secret) => hmac_sha256(secret, message),
        }
    }

    /// `SubjectPublicKeyInfo` in DER (RFC 5280 §4.1).
    pub(crate) fn spki(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::EdDsa(pair) => pair.public_key().as_der().unwrap(),
            Self::Es256(pair) => pair.public_key().as_der().unwrap(),
            Self::Rs256(pair) => pair.public_key().as_der().unwrap(),
            Self::Hs256(_) => panic!("a secret has no public form"),
        };
        der.as_ref().into()
    }

    /// The library's plain form: 32 bytes, an uncompressed point, or `RSAPublicKey` in DER.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::EdDsa(pair) => pair.public_key().as_ref().into(),
            Self::Es256(pair) => pair.public_key().as_ref().into(),
            Self::Rs256(pair) => pair.public_key().as_ref().into(),
            Self::Hs256(_) => panic!("a secret has no public form"),
        }
    }
}

pub(crate) fn hmac_sha256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, message).as_ref().into()
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----",
        lines.join("\n")
    )
}
