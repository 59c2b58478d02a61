use aws_lc_rs::{
    encoding::AsDer,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair},
};
use countersign_token::{Algorithm, Claims, KeyError, SigningError, SigningKey, VerificationKey};

use crate::support::{ALGORITHMS, NOW, SECRET, claims, key_set, pkcs8, signing_key, verifier};

#[test]
fn a_private_key_is_only_for_its_own_algorithm() {
    for file in &ALGORITHMS[..3] {
        for algorithm in ALGORITHMS {
            let key = SigningKey::from_pkcs8(algorithm, &pkcs8(*file, false));
            match algorithm {
                Algorithm::Hs256 => assert_eq!(key.unwrap_err(), KeyError::Unsupported),
                _ if algorithm == *file => assert_eq!(key.unwrap().algorithm(), algorithm),
                _ => assert_eq!(key.unwrap_err(), KeyError::Malformed),
            }
        }
    }
}

#[test]
fn other_curves_short_rsa_and_cut_files_are_refused() {
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let p384 =
        AsDer::<aws_lc_rs::encoding::EcPrivateKeyRfc5915Der>::as_der(&p384.private_key()).unwrap();
    assert!(SigningKey::from_pkcs8(Algorithm::Es256, p384.as_ref()).is_err());
    for algorithm in &ALGORITHMS[..3] {
        let mut der = pkcs8(*algorithm, false);
        der.pop();
        assert!(SigningKey::from_pkcs8(*algorithm, &der).is_err());
        assert!(SigningKey::from_pkcs8(*algorithm, b"").is_err());
    }
}

#[test]
fn a_secret_needs_32_bytes() {
    assert!(SigningKey::hs256(&[7; 32]).is_ok() && VerificationKey::hs256(&[7; 32]).is_ok());
    assert_eq!(
        SigningKey::hs256(&[7; 31]).unwrap_err(),
        KeyError::SecretTooShort
    );
    assert_eq!(
        VerificationKey::hs256(&[7; 31]).unwrap_err(),
        KeyError::SecretTooShort
    );
}

#[test]
fn debug_shows_nothing_secret() {
    let key = signing_key(Algorithm::Hs256);
    let shown = format!("{key:?} {:?} {:?}", key.verification_key(), key_set());
    assert!(shown.contains(key.kid()));
    assert!(!shown.contains(std::str::from_utf8(SECRET).unwrap()));
    // A slice prints as a list of numbers.
    assert!(!shown.contains("116, 101, 115, 116"));
    let seed = pkcs8(Algorithm::EdDsa, false)[16..20]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    assert!(!format!("{:?}", signing_key(Algorithm::EdDsa)).contains(&seed));
}

#[test]
fn a_token_that_no_verifier_would_read_is_not_issued() {
    let roles = |count| Claims {
        roles: vec!["r".repeat(8); count],
        ..claims()
    };
    let key = signing_key(Algorithm::Rs256);
    let mut issued = 0;
    while let Ok(token) = key.sign(&roles(issued)) {
        assert!(verifier().verify(&key_set(), &token, NOW).is_ok());
        issued += 10;
    }
    assert!(issued > 400);
    assert_eq!(key.sign(&roles(issued)), Err(SigningError::TooLong));
}
