//! Tokens of the `jsonwebtoken` crate pass here, and ours pass there.

use countersign_token::Algorithm;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation};
use serde_json::Value;

use crate::support::{
    ALGORITHMS, AUDIENCE, ISSUER, NOW, SECRET, claims, key_set, pem, pkcs8, signing_key, verifier,
};

fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    algorithm.as_str().parse().unwrap()
}

fn encoding_key(algorithm: Algorithm) -> EncodingKey {
    let file = |algorithm| pem("PRIVATE KEY", &pkcs8(algorithm, false));
    match algorithm {
        Algorithm::EdDsa => EncodingKey::from_ed_pem(file(algorithm).as_bytes()).unwrap(),
        Algorithm::Es256 => EncodingKey::from_ec_pem(file(algorithm).as_bytes()).unwrap(),
        Algorithm::Rs256 => EncodingKey::from_rsa_pem(file(algorithm).as_bytes()).unwrap(),
        Algorithm::Hs256 => EncodingKey::from_secret(SECRET),
    }
}

fn decoding_key(algorithm: Algorithm) -> DecodingKey {
    match signing_key(algorithm).verification_key().to_jwk() {
        Some(jwk) => DecodingKey::from_jwk(&serde_json::from_value(jwk).unwrap()).unwrap(),
        None => DecodingKey::from_secret(SECRET),
    }
}

#[test]
fn we_accept_their_tokens() {
    for algorithm in ALGORITHMS {
        let header = Header {
            typ: Some("at+jwt".into()),
            kid: Some(signing_key(algorithm).kid().into()),
            ..Header::new(theirs(algorithm))
        };
        let token = jsonwebtoken::encode(&header, &claims(), &encoding_key(algorithm)).unwrap();
        assert_eq!(
            verifier().verify(&key_set(), &token, NOW),
            Ok(claims()),
            "{algorithm}"
        );
    }
}

#[test]
fn they_accept_our_tokens() {
    for algorithm in ALGORITHMS {
        let token = signing_key(algorithm).sign(&claims()).unwrap();
        let mut validation = Validation::new(theirs(algorithm));
        // They read the machine's clock; the issue here is the signature and the form.
        validation.validate_exp = false;
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        let data = jsonwebtoken::decode::<Value>(&token, &decoding_key(algorithm), &validation);
        let data = data.unwrap_or_else(|error| panic!("{algorithm}: {error}"));
        assert_eq!(data.claims, serde_json::to_value(claims()).unwrap());
        assert_eq!(data.header.typ.as_deref(), Some("at+jwt"));
        assert_eq!(
            data.header.kid.as_deref(),
            Some(signing_key(algorithm).kid())
        );
    }
}

#[test]
fn they_compute_the_same_thumbprints() {
    for algorithm in &ALGORITHMS[..3] {
        let key = signing_key(*algorithm).verification_key();
        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.to_jwk().unwrap()).unwrap();
        let thumbprint = jwk.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256);
        assert_eq!(thumbprint.unwrap(), key.kid(), "{algorithm}");
    }
}
