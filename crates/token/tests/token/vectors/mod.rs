//! The shared vectors in `vectors/` at the root: made here, checked to be unchanged, and run.

mod algorithm_cases;
mod builder;
mod claim_cases;
mod claim_type_cases;
mod confusion_cases;
mod file;
mod form_cases;
mod header_cases;
mod party_cases;
mod primitive_cases;
mod signature_cases;

use countersign_token::{Expectations, KeySet, TokenCache, VerificationKey, Verifier};

use self::{
    builder::Builder,
    file::{Document, Verdict},
};
use crate::support::unbase64url;

fn documents() -> [Document; 2] {
    let mut tokens = Builder::new();
    claim_cases::add(&mut tokens);
    header_cases::add(&mut tokens);
    form_cases::add(&mut tokens);
    confusion_cases::add(&mut tokens);
    let mut jose = Builder::new();
    signature_cases::add(&mut jose);
    primitive_cases::add(&mut jose);
    [
        tokens.finish("tokens.json", "Access tokens and the verdict on each."),
        jose.finish(
            "jose.json",
            "Signatures and their encodings: our own equivalents of the classes that Project Wycheproof tests for JWS and for the primitives.",
        ),
    ]
}

#[test]
fn the_files_are_what_the_generator_makes() {
    for document in documents() {
        assert!(
            document.to_text() == Document::read_text(&document.file),
            "`vectors/{}` differs from what the generator makes; to write it anew: \
             cargo test -p countersign-token --test token -- --ignored write_the_vectors",
            document.file
        );
    }
}

#[test]
#[ignore = "writes into the work tree; run it after a change to the cases"]
fn write_the_vectors() {
    for document in documents() {
        document.write();
    }
}

#[test]
fn names_are_unique_and_every_refusal_stands_beside_an_acceptance() {
    for document in ["tokens.json", "jose.json"].map(Document::read) {
        let mut names: Vec<&str> = document.cases.iter().map(|case| &*case.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{}", document.file);
        let accepted = |case: &&file::Case| matches!(case.verdict, Verdict::Accept);
        assert!(document.cases.iter().filter(accepted).count() >= 4);
        assert!(count > 60, "{count} cases");
    }
}

#[test]
fn every_case_gets_its_verdict() {
    for document in ["tokens.json", "jose.json"].map(Document::read) {
        let keys = key_set(&document);
        let settings = &document.settings;
        let verifier = Verifier::new(Expectations {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            leeway_seconds: settings.leeway_seconds,
            max_lifetime_seconds: settings.max_lifetime_seconds,
        });
        let cache = TokenCache::new(10_000);
        for case in &document.cases {
            let direct = verifier.verify(&keys, &case.token, document.now);
            for _ in 0..2 {
                let cached = cache.verify(&verifier, &keys, &case.token, document.now);
                assert_eq!(cached.as_deref(), direct.as_ref(), "{}", case.name);
            }
            match (&case.verdict, direct) {
                (Verdict::Accept, Ok(claims)) => {
                    let claims = serde_json::to_value(claims).unwrap();
                    let expected = serde_json::to_value(case.claims.as_ref().unwrap()).unwrap();
                    assert_eq!(claims, expected, "{}", case.name);
                }
                (Verdict::Refuse, Err(refusal)) => {
                    assert_eq!(
                        case.reason.as_deref(),
                        Some(refusal.code()),
                        "{}",
                        case.name
                    );
                    if let Some(claim) = &case.claim {
                        assert!(refusal.to_string().contains(claim), "{}", case.name);
                    }
                }
                (expected, seen) => panic!("{}: {expected:?} expected, {seen:?}", case.name),
            }
        }
    }
}

fn key_set(document: &Document) -> KeySet {
    let jwks = serde_json::to_string(&document.keys.jwks).unwrap();
    let public = KeySet::from_jwks(&jwks).unwrap();
    let secrets = document.keys.hs256.iter().map(|key| {
        let read = VerificationKey::hs256(&unbase64url(&key.secret_base64url)).unwrap();
        assert_eq!(read.kid(), key.kid);
        read
    });
    KeySet::new(public.iter().cloned().chain(secrets).collect())
}
