use countersign_token::{KeySet, TokenCache, VerificationKey};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::support::{ALGORITHMS, NOW, RawKey, base64url, claims, key_set, signing_key, verifier};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any other bytes in any places, one or several of them.
    #[test]
    fn a_changed_token_never_verifies(
        algorithm in prop::sample::select(ALGORITHMS.to_vec()),
        changes in vec((any::<Index>(), 0x20u8..0x7f), 1..4),
    ) {
        let token = signing_key(algorithm).sign(&claims()).unwrap();
        let mut bytes = token.clone().into_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != token);
        let (cache, keys, verifier) = (TokenCache::new(8), key_set(), verifier());
        cache.verify(&verifier, &keys, &token, NOW).unwrap();
        prop_assert!(verifier.verify(&keys, &changed, NOW).is_err());
        prop_assert!(cache.verify(&verifier, &keys, &changed, NOW).is_err());
    }

    #[test]
    fn a_cut_or_joined_token_never_verifies(
        algorithm in prop::sample::select(ALGORITHMS.to_vec()),
        cut in any::<Index>(),
        extra in "[A-Za-z0-9._-]{1,8}",
    ) {
        let token = signing_key(algorithm).sign(&claims()).unwrap();
        let cut = cut.index(token.len());
        for other in [
            token[..cut].to_owned(),
            token[cut + 1..].to_owned(),
            format!("{token}{extra}"),
            format!("{extra}{token}"),
            format!("{}{extra}{}", &token[..cut], &token[cut..]),
        ] {
            prop_assert!(verifier().verify(&key_set(), &other, NOW).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC*", dotted in "[A-Za-z0-9_=.-]{0,200}") {
        for token in [&text, &dotted] {
            prop_assert!(verifier().verify(&key_set(), token, NOW).is_err());
        }
        prop_assert!(KeySet::from_jwks(&text).is_err());
    }

    /// Arbitrary bytes behind a right signature: what only the issuer could do, and what reaches the claims' parser.
    #[test]
    fn no_signed_payload_makes_the_parser_panic(payload in vec(any::<u8>(), 0..200), json in json_like()) {
        let key = RawKey::new(ALGORITHMS[3], false);
        let header = signing_key(ALGORITHMS[3]).sign(&claims()).unwrap();
        let (header, _) = header.split_once('.').unwrap();
        for payload in [payload.as_slice(), json.as_bytes()] {
            let signed = format!("{header}.{}", base64url(payload));
            let token = format!("{signed}.{}", base64url(key.sign(signed.as_bytes())));
            prop_assert!(verifier().verify(&key_set(), &token, NOW).is_err());
            let unsigned = format!("{}.{signed}", base64url(payload));
            prop_assert!(verifier().verify(&key_set(), &unsigned, NOW).is_err());
        }
    }

    #[test]
    fn no_jwk_makes_the_reader_panic(x in "[A-Za-z0-9_-]{0,90}", y in "[A-Za-z0-9_-]{43}", n in vec(any::<u8>(), 255..260)) {
        for jwk in [
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": x}),
            serde_json::json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": y, "y": y}),
            serde_json::json!({"kty": "RSA", "alg": "RS256", "n": base64url(n), "e": "AQAB"}),
        ] {
            let _ = VerificationKey::from_jwk(&jwk);
        }
    }
}

/// Texts that are nearly JSON objects with our names in them.
fn json_like() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1800000000".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[]".to_owned()),
        Just("{\"a\":[1,null]}".to_owned()),
        Just("1e999".to_owned()),
        Just("\"\\ud800\"".to_owned()),
        Just("nul".to_owned()),
    ];
    let name = prop::sample::select(vec!["iss", "sub", "exp", "aud", "x", "\\u0065xp", "\\"]);
    vec((name, value), 0..6).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}
