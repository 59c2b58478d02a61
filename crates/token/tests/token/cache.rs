use std::sync::Arc;

use countersign_token::{Algorithm, Claims, Expectations, KeySet, Refusal, TokenCache, Verifier};

use crate::support::{
    ALGORITHMS, NOW, claims, expectations, id, key_set, pkcs8, signing_key, verifier,
};

#[test]
fn a_hit_is_the_same_claims_without_another_reading() {
    let (cache, verifier, keys) = (TokenCache::new(8), verifier(), key_set());
    for algorithm in ALGORITHMS {
        let token = signing_key(algorithm).sign(&claims()).unwrap();
        let first = cache.verify(&verifier, &keys, &token, NOW).unwrap();
        let second = cache.verify(&verifier, &keys, &token, NOW).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(*first, claims());
    }
}

#[test]
fn no_user_ever_gets_another_users_claims() {
    let (cache, verifier, keys) = (TokenCache::new(300), verifier(), key_set());
    let signers = [signing_key(Algorithm::EdDsa), signing_key(Algorithm::Hs256)];
    let tokens: Vec<(Claims, String)> = (0..1000)
        .map(|number| {
            let claims = Claims {
                sub: id(number % 50),
                sid: id(100 + number % 50),
                jti: id(1000 + number),
                ..claims()
            };
            let token = signers[number as usize % 2].sign(&claims).unwrap();
            (claims, token)
        })
        .collect();
    std::thread::scope(|scope| {
        for step in [1, 7, 333] {
            let (cache, verifier, keys, tokens) = (&cache, &verifier, &keys, &tokens);
            scope.spawn(move || {
                for round in 0..3000 {
                    let (claims, token) = &tokens[round * step % 1000];
                    let seen = cache.verify(verifier, keys, token, NOW).unwrap();
                    assert_eq!(*seen, *claims);
                }
            });
        }
    });
}

#[test]
fn two_tokens_of_one_hash_do_not_share_claims() {
    let (cache, verifier, keys) = (TokenCache::new(8), verifier(), key_set());
    let token = signing_key(Algorithm::EdDsa).sign(&claims()).unwrap();
    cache.verify(&verifier, &keys, &token, NOW).unwrap();
    // The hash covers the end of the signature, so this forgery lands on the same entry.
    let stranger = Claims {
        sub: id(666),
        ..claims()
    };
    let forged = signing_key(Algorithm::EdDsa).sign(&stranger).unwrap();
    let (signed, _) = forged.rsplit_once('.').unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{signature}");
    let verdict = cache.verify(&verifier, &keys, &forged, NOW);
    assert_eq!(verdict, Err(Refusal::BadSignature));
}

#[test]
fn time_is_checked_on_every_hit() {
    let keys = key_set();
    let long = Verifier::new(Expectations {
        max_lifetime_seconds: None,
        ..expectations()
    });
    let cases = [
        (claims(), &long, NOW + 904, NOW + 905, Refusal::Expired),
        (
            Claims {
                nbf: Some(NOW),
                iat: NOW - 60,
                ..claims()
            },
            &long,
            NOW - 5,
            NOW - 6,
            Refusal::NotYetValid,
        ),
        (claims(), &long, NOW - 5, NOW - 6, Refusal::IssuedInFuture),
        (
            Claims {
                exp: NOW + 90_000,
                ..claims()
            },
            &verifier(),
            NOW + 3605,
            NOW + 3606,
            Refusal::TooOld,
        ),
    ];
    for (claims, verifier, good, bad, refusal) in cases {
        let cache = TokenCache::new(8);
        let token = signing_key(Algorithm::EdDsa).sign(&claims).unwrap();
        for (now, verdict) in [
            (bad, Err(refusal)),
            (good, Ok(&claims)),
            (bad, Err(refusal)),
            (good, Ok(&claims)),
        ] {
            let seen = cache.verify(verifier, &keys, &token, now);
            assert_eq!(seen.as_deref().map_err(|refusal| *refusal), verdict);
        }
    }
}

#[test]
fn another_verifier_does_not_inherit_the_verdict() {
    let (cache, keys) = (TokenCache::new(8), key_set());
    let token = signing_key(Algorithm::EdDsa).sign(&claims()).unwrap();
    cache.verify(&verifier(), &keys, &token, NOW).unwrap();
    let other_audience = Verifier::new(Expectations {
        audience: "other".into(),
        ..expectations()
    });
    let other_issuer = Verifier::new(Expectations {
        issuer: "other".into(),
        ..expectations()
    });
    let seen = cache.verify(&other_audience, &keys, &token, NOW);
    assert_eq!(seen, Err(Refusal::WrongAudience));
    let seen = cache.verify(&other_issuer, &keys, &token, NOW);
    assert_eq!(seen, Err(Refusal::WrongIssuer));
}

#[test]
fn a_removed_key_is_not_trusted_from_memory() {
    let (cache, verifier, keys) = (TokenCache::new(8), verifier(), key_set());
    let token = signing_key(Algorithm::EdDsa).sign(&claims()).unwrap();
    cache.verify(&verifier, &keys, &token, NOW).unwrap();
    let without = KeySet::new(vec![signing_key(Algorithm::Rs256).verification_key()]);
    let seen = cache.verify(&verifier, &without, &token, NOW);
    assert_eq!(seen, Err(Refusal::UnknownKey));
    // Also not where the very same keys come back as a new set: the signature is checked again.
    assert_ne!(keys.generation(), key_set().generation());
    assert!(cache.verify(&verifier, &key_set(), &token, NOW).is_ok());
}

#[test]
fn only_accepted_tokens_are_kept_and_only_so_many() {
    let (cache, verifier, keys) = (TokenCache::new(64), verifier(), key_set());
    let key = signing_key(Algorithm::Hs256);
    let other =
        countersign_token::SigningKey::from_pkcs8(Algorithm::EdDsa, &pkcs8(Algorithm::EdDsa, true))
            .unwrap();
    for number in 0..1000 {
        let claims = Claims {
            jti: id(number),
            ..claims()
        };
        let forged = other.sign(&claims).unwrap();
        assert!(cache.verify(&verifier, &keys, &forged, NOW).is_err());
    }
    assert!(cache.is_empty());
    for number in 0..1000 {
        let claims = Claims {
            jti: id(number),
            ..claims()
        };
        let token = key.sign(&claims).unwrap();
        cache.verify(&verifier, &keys, &token, NOW).unwrap();
        assert!(cache.len() <= 64);
    }
    assert!(!cache.is_empty());
}

#[test]
fn a_capacity_of_zero_still_gives_right_verdicts() {
    let (cache, verifier, keys) = (TokenCache::new(0), verifier(), key_set());
    let token = signing_key(Algorithm::Hs256).sign(&claims()).unwrap();
    for _ in 0..2 {
        assert_eq!(
            *cache.verify(&verifier, &keys, &token, NOW).unwrap(),
            claims()
        );
    }
}
