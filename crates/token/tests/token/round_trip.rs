use countersign_token::{Audience, Claims, KeySet, Refusal, VerificationKey};

use crate::support::{ALGORITHMS, NOW, base64url, claims, key_set, signing_key, verifier};

#[test]
fn every_algorithm_returns_the_claims_that_were_signed() {
    let (verifier, keys) = (verifier(), key_set());
    let variants = [
        claims(),
        Claims {
            nbf: Some(NOW),
            ..claims()
        },
        Claims {
            amr: vec![],
            scope: String::new(),
            roles: vec!["quote \" and \\".into(), "ünïcode".into()],
            ..claims()
        },
    ];
    for algorithm in ALGORITHMS {
        for claims in &variants {
            let token = signing_key(algorithm).sign(claims).unwrap();
            assert_eq!(
                verifier.verify(&keys, &token, NOW).as_ref(),
                Ok(claims),
                "{algorithm}"
            );
        }
    }
}

#[test]
fn the_header_is_exactly_alg_typ_and_kid() {
    for algorithm in ALGORITHMS {
        let key = signing_key(algorithm);
        let header = format!(
            r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{}"}}"#,
            key.kid()
        );
        let token = key.sign(&claims()).unwrap();
        assert!(token.starts_with(&format!("{}.", base64url(header))));
    }
}

#[test]
fn a_published_key_set_verifies_all_but_hs256() {
    let published = key_set().to_jwks().to_string();
    assert!(!published.contains("oct") && !published.contains(signing_key(ALGORITHMS[3]).kid()));
    let keys = KeySet::from_jwks(&published).unwrap();
    assert_eq!(keys.len(), 3);
    for algorithm in ALGORITHMS {
        let token = signing_key(algorithm).sign(&claims()).unwrap();
        let verdict = verifier().verify(&keys, &token, NOW);
        match algorithm.as_str() {
            "HS256" => assert_eq!(verdict, Err(Refusal::UnknownKey)),
            _ => assert_eq!(verdict, Ok(claims())),
        }
    }
}

#[test]
fn a_jwk_survives_being_written_and_read() {
    for algorithm in &ALGORITHMS[..3] {
        let key = signing_key(*algorithm).verification_key();
        let jwk = key.to_jwk().unwrap();
        let read = VerificationKey::from_jwk(&jwk).unwrap();
        assert_eq!((read.kid(), read.algorithm()), (key.kid(), key.algorithm()));
        assert_eq!(read.to_jwk(), Some(jwk));
    }
}

#[test]
fn several_audiences_are_written_as_an_array() {
    let several = Claims {
        aud: Audience::Many(vec!["https://api.example.com".into(), "b".into()]),
        ..claims()
    };
    let token = signing_key(ALGORITHMS[0]).sign(&several).unwrap();
    assert_eq!(verifier().verify(&key_set(), &token, NOW), Ok(several));
}
