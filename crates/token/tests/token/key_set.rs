use countersign_token::{Algorithm, KeyError, KeySet, MAX_KEYS, UnknownAlgorithm, VerificationKey};
use serde_json::{Value, json};

use crate::support::{ALGORITHMS, base64url, key_set, signing_key, unbase64url};

fn jwk(algorithm: Algorithm) -> Value {
    signing_key(algorithm).verification_key().to_jwk().unwrap()
}

fn changed(algorithm: Algorithm, name: &str, value: Value) -> Value {
    let mut jwk = jwk(algorithm);
    jwk[name] = value;
    jwk
}

fn without(algorithm: Algorithm, name: &str) -> Value {
    let mut jwk = jwk(algorithm);
    jwk.as_object_mut().unwrap().remove(name);
    jwk
}

fn read(keys: &[Value]) -> Result<usize, KeyError> {
    KeySet::from_jwks(&json!({ "keys": keys }).to_string()).map(|set| set.len())
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    // RFC 8037 appendix A.3.
    let key = VerificationKey::from_jwk(&json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }));
    assert_eq!(
        key.unwrap().kid(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    // RFC 7638 §3.1.
    let key = VerificationKey::from_jwk(&json!({
        "kty": "RSA", "alg": "RS256", "e": "AQAB",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMst\
              n64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9\
              1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    }));
    assert_eq!(
        key.unwrap().kid(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn the_id_of_a_secret_is_stable_and_tells_secrets_apart() {
    let kid = |secret: &[u8]| VerificationKey::hs256(secret).unwrap().kid().to_owned();
    assert_eq!(kid(&[1; 32]), kid(&[1; 32]));
    assert_ne!(kid(&[1; 32]), kid(&[2; 32]));
    assert_eq!(kid(&[1; 32]).len(), 11);
    assert!(VerificationKey::hs256(&[1; 32]).unwrap().to_jwk().is_none());
}

#[test]
fn keys_for_something_else_are_skipped() {
    use Algorithm::{EdDsa, Es256, Rs256};
    for skipped in [
        changed(EdDsa, "crv", json!("X25519")),
        changed(EdDsa, "alg", json!("ECDH-ES")),
        changed(Es256, "crv", json!("P-384")),
        changed(Es256, "alg", json!("ES384")),
        changed(Rs256, "alg", json!("PS256")),
        changed(Rs256, "alg", json!("HS256")),
        changed(Rs256, "alg", json!(null)),
        changed(Rs256, "use", json!("enc")),
        changed(Rs256, "key_ops", json!(["encrypt"])),
        changed(Rs256, "key_ops", json!("verify")),
        changed(Rs256, "kty", json!("LWE")),
        without(EdDsa, "alg"),
        without(EdDsa, "kty"),
        json!({}),
        json!({"kty": "oct", "alg": "HS256", "k": base64url([7; 32])}),
    ] {
        assert_eq!(read(&[jwk(EdDsa), skipped.clone()]), Ok(1), "{skipped}");
        assert_eq!(
            VerificationKey::from_jwk(&skipped).unwrap_err(),
            KeyError::Unsupported
        );
    }
}

#[test]
fn what_may_be_absent_may_be_absent() {
    for name in ["kid", "use"] {
        for algorithm in &ALGORITHMS[..3] {
            assert_eq!(read(&[without(*algorithm, name)]), Ok(1));
        }
    }
    let with_operations = changed(Algorithm::EdDsa, "key_ops", json!(["verify"]));
    assert_eq!(read(&[with_operations]), Ok(1));
}

#[test]
fn a_wrong_key_refuses_the_whole_set() {
    use Algorithm::{EdDsa, Es256, Rs256};
    let x = unbase64url(jwk(Es256)["x"].as_str().unwrap());
    let n = unbase64url(jwk(Rs256)["n"].as_str().unwrap());
    let zero_first = |bytes: &[u8]| json!(base64url([&[0], bytes].concat()));
    for (key, error) in [
        (json!("text"), KeyError::Malformed),
        (without(EdDsa, "x"), KeyError::Malformed),
        (changed(EdDsa, "x", json!(7)), KeyError::Malformed),
        (changed(EdDsa, "x", json!("AA==")), KeyError::Malformed),
        (
            changed(EdDsa, "x", json!(base64url([9; 31]))),
            KeyError::Malformed,
        ),
        (
            changed(EdDsa, "x", json!(base64url([9; 33]))),
            KeyError::Malformed,
        ),
        (changed(Es256, "x", zero_first(&x)), KeyError::Malformed),
        (
            changed(Es256, "x", json!(base64url(&x[1..]))),
            KeyError::Malformed,
        ),
        // Not on the curve: an invalid-curve key.
        (
            changed(Es256, "y", json!(base64url([1; 32]))),
            KeyError::Malformed,
        ),
        (changed(Rs256, "n", zero_first(&n)), KeyError::Malformed),
        (changed(Rs256, "n", json!("")), KeyError::Malformed),
        (
            changed(Rs256, "n", json!(base64url(&n[1..]))),
            KeyError::WeakKey,
        ),
        (
            changed(Rs256, "n", json!(base64url([0xff; 1025]))),
            KeyError::WeakKey,
        ),
        (changed(Rs256, "e", json!("AQ")), KeyError::WeakKey),
        (changed(Rs256, "e", json!("Aw")), KeyError::WeakKey),
        (changed(Rs256, "e", json!("AQAA")), KeyError::WeakKey),
        (
            changed(Rs256, "e", json!(base64url([1; 5]))),
            KeyError::WeakKey,
        ),
        (
            changed(EdDsa, "d", json!(base64url([9; 32]))),
            KeyError::PrivateKey,
        ),
        (
            changed(EdDsa, "kid", json!("chosen")),
            KeyError::KeyIdMismatch,
        ),
        (changed(EdDsa, "kid", json!(7)), KeyError::KeyIdMismatch),
        (
            changed(EdDsa, "kid", jwk(Es256)["kid"].clone()),
            KeyError::KeyIdMismatch,
        ),
    ] {
        assert_eq!(read(&[jwk(EdDsa), key.clone()]), Err(error), "{key}");
    }
}

#[test]
fn a_document_that_is_no_key_set_is_refused() {
    for text in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":[]"#,
        r#"{"keys":[]}x"#,
    ] {
        assert_eq!(
            KeySet::from_jwks(text).unwrap_err(),
            KeyError::Malformed,
            "{text}"
        );
    }
    assert_eq!(read(&[]), Ok(0));
}

#[test]
fn repeated_and_too_many_keys_are_refused() {
    let key = jwk(Algorithm::EdDsa);
    assert_eq!(
        read(&[key.clone(), key.clone()]),
        Err(KeyError::DuplicateKey)
    );
    assert_eq!(
        read(&[key, without(Algorithm::EdDsa, "kid")]),
        Err(KeyError::DuplicateKey)
    );
    assert_eq!(read(&vec![json!({}); MAX_KEYS]), Ok(0));
    assert_eq!(
        read(&vec![json!({}); MAX_KEYS + 1]),
        Err(KeyError::TooManyKeys)
    );
}

#[test]
fn keys_are_found_by_their_id() {
    let keys = key_set();
    assert_eq!((keys.len(), keys.is_empty()), (4, false));
    for algorithm in ALGORITHMS {
        let kid = signing_key(algorithm).kid().to_owned();
        assert_eq!(keys.get(&kid).unwrap().algorithm(), algorithm);
        assert!(keys.get(&kid[1..]).is_none());
    }
    assert!(keys.get("").is_none());
    let again = signing_key(Algorithm::EdDsa).verification_key();
    assert_eq!(KeySet::new(vec![again.clone(), again]).len(), 1);
}

#[test]
fn algorithms_have_their_jose_names() {
    for (algorithm, name) in ALGORITHMS.iter().zip(["EdDSA", "ES256", "RS256", "HS256"]) {
        assert_eq!(algorithm.to_string(), name);
        assert_eq!(name.parse(), Ok(*algorithm));
        assert_eq!(serde_json::to_value(algorithm).unwrap(), name);
    }
    for name in ["none", "eddsa", "Es256", "PS256", "", " HS256"] {
        assert_eq!(name.parse::<Algorithm>(), Err(UnknownAlgorithm));
    }
}
