//! Sizes: what is too big for a vector file, and what a parser may choke on.

use countersign_token::{Algorithm, MAX_TOKEN_BYTES, Refusal, TokenCache};

use crate::support::{NOW, RawKey, base64url, claims, key_set, signing_key, verifier};

#[test]
fn huge_tokens_are_refused_by_their_length_alone() {
    let good = signing_key(Algorithm::Hs256).sign(&claims()).unwrap();
    let cache = TokenCache::new(4);
    for token in [
        ".".repeat(5_000_000),
        "A".repeat(5_000_000),
        format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES)),
        format!("{}{good}", ".".repeat(MAX_TOKEN_BYTES)),
    ] {
        let (verifier, keys) = (verifier(), key_set());
        assert_eq!(verifier.verify(&keys, &token, NOW), Err(Refusal::TooLong));
        let cached = cache.verify(&verifier, &keys, &token, NOW);
        assert_eq!(cached, Err(Refusal::TooLong));
    }
    assert!(cache.is_empty());
}

#[test]
fn dots_within_the_limit_are_malformed() {
    for count in [0, 1, 2, 3, 4, 5, 100, MAX_TOKEN_BYTES] {
        let verdict = verifier().verify(&key_set(), &".".repeat(count), NOW);
        assert_eq!(verdict, Err(Refusal::Malformed), "{count} dots");
    }
}

#[test]
fn deep_nesting_does_not_reach_the_stack() {
    let key = RawKey::new(Algorithm::Hs256, false);
    let kid = signing_key(Algorithm::Hs256).kid().to_owned();
    let good = format!(r#"{{"alg":"HS256","typ":"at+jwt","kid":"{kid}"}}"#);
    let verdict = |header: String, payload: String| {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        let token = format!("{signed}.{}", base64url(key.sign(signed.as_bytes())));
        verifier().verify(&key_set(), &token, NOW)
    };
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        // A value that is read is refused, or is of the wrong type; one that is not read is skipped without recursion.
        let payload = format!(r#"{{"scope":{}}}"#, deep(900));
        assert!(verdict(good.clone(), payload).is_err());
        let payload = serde_json::to_string(&claims()).unwrap();
        let payload = payload.replacen('{', &format!(r#"{{"x":{},"#, deep(900)), 1);
        assert_eq!(verdict(good.clone(), payload), Ok(claims()));
        let header = format!(r#"{{"kid":"{kid}","typ":{}}}"#, deep(100));
        assert_eq!(verdict(header, String::new()), Err(Refusal::WrongTokenType));
    }
}

#[test]
fn times_at_the_ends_of_the_range_do_not_overflow() {
    let token = signing_key(Algorithm::Hs256).sign(&claims()).unwrap();
    let at = |now| verifier().verify(&key_set(), &token, now);
    assert_eq!(at(i64::MAX), Err(Refusal::Expired));
    assert_eq!(at(i64::MIN), Err(Refusal::IssuedInFuture));
}
