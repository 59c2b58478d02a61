//! Puts cases together. Headers and payloads are lists of members with raw JSON as values, so that any text can be made.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, prelude::*};
use countersign_token::{Algorithm, Claims, Refusal};

use super::file::{Case, Document, Keys, Members, Secret, Settings, Verdict};
use crate::support::{
    ALGORITHMS, AUDIENCE, ISSUER, NOW, RawKey, SECRET, base64url, claims, expectations, key_set,
    signing_key,
};

/// The members of an object, in order, repetitions included.
#[derive(Clone)]
pub(super) struct Object(Vec<(String, String)>);

impl Object {
    pub(super) fn header(algorithm: Algorithm) -> Self {
        let kid = signing_key(algorithm).kid().to_owned();
        Self(vec![
            ("alg".into(), format!("\"{algorithm}\"")),
            ("typ".into(), "\"at+jwt\"".into()),
            ("kid".into(), format!("\"{kid}\"")),
        ])
    }

    pub(super) fn payload() -> Self {
        let text = |text: &str| format!("\"{text}\"");
        let claims = claims();
        Self(vec![
            ("iss".into(), text(ISSUER)),
            ("sub".into(), text(&claims.sub.to_string())),
            ("aud".into(), text(AUDIENCE)),
            ("iat".into(), NOW.to_string()),
            ("exp".into(), claims.exp.to_string()),
            ("jti".into(), text(&claims.jti.to_string())),
            ("sid".into(), text(&claims.sid.to_string())),
            ("auth_time".into(), claims.auth_time.to_string()),
            ("amr".into(), "[\"pwd\",\"otp\"]".into()),
            ("scope".into(), text(&claims.scope)),
            ("roles".into(), "[\"admin\"]".into()),
        ])
    }

    /// Replaces the member, or adds it.
    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        match self.0.iter_mut().find(|member| member.0 == name) {
            Some(member) => member.1 = value.to_string(),
            None => self.0.push((name.into(), value.to_string())),
        }
        self
    }

    /// Adds the member, whether or not there is one already.
    pub(super) fn and(mut self, name: &str, value: impl ToString) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.0.retain(|member| member.0 != name);
        self
    }

    pub(super) fn reversed(mut self) -> Self {
        self.0.reverse();
        self
    }

    pub(super) fn json(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

static RAW_KEYS: LazyLock<[RawKey; 4]> =
    LazyLock::new(|| ALGORITHMS.map(|a| RawKey::new(a, false)));

/// Signs with the key of the key set. ECDSA signs differently each time, so a signature that the committed files have for
/// the same text is used again.
pub(super) fn signature(algorithm: Algorithm, signed: &str) -> Vec<u8> {
    let key = &RAW_KEYS[ALGORITHMS.iter().position(|a| *a == algorithm).unwrap()];
    let sign = || key.sign(signed.as_bytes());
    match algorithm {
        Algorithm::Es256 => {
            let mut known = ES256_SIGNATURES.lock().unwrap();
            known.entry(signed.to_owned()).or_insert_with(sign).clone()
        }
        _ => sign(),
    }
}

static ES256_SIGNATURES: LazyLock<Mutex<HashMap<String, Vec<u8>>>> = LazyLock::new(|| {
    let mut signatures = HashMap::new();
    let files = ["tokens.json", "jose.json"].map(Document::read_text);
    let documents = files.iter().filter(|text| !text.is_empty());
    let documents = documents.map(|text| serde_json::from_str::<Document>(text).unwrap());
    let point = RAW_KEYS[1].public_bytes();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    for case in documents.flat_map(|document| document.cases) {
        let Some((signed, signature)) = case.token.rsplit_once('.') else {
            continue;
        };
        match BASE64_URL_SAFE_NO_PAD.decode(signature) {
            Ok(signature) if key.verify(signed.as_bytes(), &signature).is_ok() => {
                // The first of a file: the malleated twin of a signature comes after it.
                signatures.entry(signed.to_owned()).or_insert(signature);
            }
            _ => {}
        }
    }
    Mutex::new(signatures)
});

/// `header.payload`, from any text.
pub(super) fn signed_part(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

pub(super) fn sign_text(algorithm: Algorithm, signed: &str) -> String {
    format!("{signed}.{}", base64url(signature(algorithm, signed)))
}

pub(super) fn token(algorithm: Algorithm, header: &Object, payload: &Object) -> String {
    sign_text(algorithm, &signed_part(header.json(), payload.json()))
}

/// The ordinary token of this algorithm, which every changed one stands beside.
pub(super) fn good(algorithm: Algorithm) -> String {
    token(algorithm, &Object::header(algorithm), &Object::payload())
}

pub(super) struct Builder {
    cases: Vec<Case>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self { cases: Vec::new() }
    }

    pub(super) fn accept(&mut self, class: &str, name: &str, token: String, claims: &Claims) {
        let claims = serde_json::to_value(claims).unwrap();
        self.cases.push(Case {
            name: format!("{class}: {name}"),
            class: class.into(),
            verdict: Verdict::Accept,
            reason: None,
            claim: None,
            claims: Some(serde_json::from_value(claims).unwrap()),
            token,
        });
    }

    pub(super) fn refuse(&mut self, class: &str, name: &str, token: String, refusal: Refusal) {
        let claim = match refusal {
            Refusal::MissingClaim(name) | Refusal::WrongType(name) => Some(name.to_owned()),
            _ => None,
        };
        self.cases.push(Case {
            name: format!("{class}: {name}"),
            class: class.into(),
            verdict: Verdict::Refuse,
            reason: Some(refusal.code().into()),
            claim,
            claims: None,
            token,
        });
    }

    pub(super) fn finish(self, file: &str, about: &str) -> Document {
        let expected = expectations();
        let keys = key_set();
        let jwks = keys.iter().filter_map(|key| key.to_jwk());
        let jwks: Vec<Members> = jwks
            .map(|jwk| serde_json::from_value(jwk).unwrap())
            .collect();
        Document {
            file: file.into(),
            about: about.into(),
            format: 1,
            keys: Keys {
                jwks: [("keys".to_owned(), jwks)].into(),
                hs256: vec![Secret {
                    kid: signing_key(Algorithm::Hs256).kid().into(),
                    secret_base64url: base64url(SECRET),
                }],
            },
            settings: Settings {
                issuer: expected.issuer,
                audience: expected.audience,
                leeway_seconds: expected.leeway_seconds,
                max_lifetime_seconds: expected.max_lifetime_seconds,
            },
            now: NOW,
            cases: self.cases,
        }
    }
}
