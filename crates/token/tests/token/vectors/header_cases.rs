//! One member of the header is changed, and the result signed by the key that it names wherever it names one.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use countersign_token::{
    Algorithm::{self, EdDsa, Es256, Hs256, Rs256},
    Refusal,
};

use super::{
    algorithm_cases,
    builder::{Builder, Object, good, signed_part, token},
};
use crate::support::{ALGORITHMS, RawKey, base64url, claims, pkcs8, signing_key};

pub(super) fn add(cases: &mut Builder) {
    accepted_variants(cases);
    algorithm_cases::add(cases);
    key_ids(cases);
    foreign_keys(cases);
    critical(cases);
    types(cases);
    duplicates(cases);
}

pub(super) fn with(algorithm: Algorithm, header: &Object) -> String {
    token(algorithm, header, &Object::payload())
}

pub(super) fn changed(name: &str, value: &str) -> String {
    with(EdDsa, &Object::header(EdDsa).with(name, value))
}

fn accepted_variants(cases: &mut Builder) {
    let class = "valid header";
    let header = || Object::header(EdDsa);
    for typ in [
        "at+jwt",
        "AT+JWT",
        "At+Jwt",
        "application/at+jwt",
        "APPLICATION/AT+JWT",
    ] {
        let token = changed("typ", &format!("\"{typ}\""));
        cases.accept(class, &format!("typ {typ}"), token, &claims());
    }
    for (name, header) in [
        ("members in another order", header().reversed()),
        (
            "unknown members",
            header().and("x", r#"{"y":[1,null]}"#).and("cty", "\"JWT\""),
        ),
        (
            "escaped names",
            header().without("alg").and(r"\u0061lg", "\"EdDSA\""),
        ),
    ] {
        cases.accept(class, name, with(EdDsa, &header), &claims());
    }
}

fn key_ids(cases: &mut Builder) {
    let class = "kid";
    let missing = Object::header(EdDsa).without("kid");
    cases.refuse(
        class,
        "missing",
        with(EdDsa, &missing),
        Refusal::MissingKeyId,
    );
    let kid = signing_key(EdDsa).kid().to_owned();
    for value in [
        "",
        "unknown",
        "../../../../dev/null",
        "' OR 1=1 --",
        &kid[1..],
        &format!("{kid} "),
        &format!("{kid}="),
        &kid.to_lowercase(),
    ] {
        let token = changed("kid", &format!("\"{value}\""));
        cases.refuse(class, &format!("{value:?}"), token, Refusal::UnknownKey);
    }
    for value in ["null", "0", "true", "{}", &format!("[\"{kid}\"]")] {
        cases.refuse(class, value, changed("kid", value), Refusal::Malformed);
    }
    for key in ALGORITHMS {
        for named in ALGORITHMS.into_iter().filter(|named| *named != key) {
            let header = Object::header(named);
            let name = format!("of the {named} key, signed by the {key} key");
            cases.refuse(class, &name, with(key, &header), Refusal::BadSignature);
        }
    }
}

/// A right signature by a key that the issuer does not have.
fn foreign_keys(cases: &mut Builder) {
    let class = "foreign key";
    for algorithm in [EdDsa, Rs256, Hs256] {
        let signed = signed_part(Object::header(algorithm).json(), Object::payload().json());
        let signature = RawKey::new(algorithm, true).sign(signed.as_bytes());
        let token = format!("{signed}.{}", base64url(signature));
        cases.refuse(
            class,
            &format!("under our {algorithm} kid"),
            token,
            Refusal::BadSignature,
        );
    }
    let pair = Ed25519KeyPair::from_pkcs8(&pkcs8(EdDsa, true)).unwrap();
    let x = base64url(pair.public_key().as_ref());
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","x":"{x}"}}"#);
    for (name, member, value) in [
        ("brought along as jwk", "jwk", jwk),
        (
            "at a jku",
            "jku",
            "\"https://evil.example/jwks.json\"".into(),
        ),
        (
            "at an x5u",
            "x5u",
            "\"https://evil.example/cert.pem\"".into(),
        ),
        ("in an x5c", "x5c", format!("[\"{x}\"]")),
    ] {
        let header = Object::header(EdDsa).and(member, value);
        cases.accept(
            class,
            &format!("our own signature, {name}"),
            with(EdDsa, &header),
            &claims(),
        );
        let signed = signed_part(header.json(), Object::payload().json());
        let signature = pair.sign(signed.as_bytes());
        let token = format!("{signed}.{}", base64url(signature.as_ref()));
        cases.refuse(class, name, token, Refusal::BadSignature);
    }
}

fn critical(cases: &mut Builder) {
    for value in [
        "[\"exp\"]",
        "[\"alg\"]",
        "[\"b64\"]",
        "[\"x\"]",
        "[]",
        "[\"\"]",
        "[1]",
        "null",
        "\"x\"",
        "{}",
        "false",
    ] {
        let header = Object::header(EdDsa)
            .and("x", 1)
            .and("exp", 1)
            .and("b64", true)
            .and("crit", value);
        cases.refuse("crit", value, with(EdDsa, &header), Refusal::CriticalHeader);
    }
    let known = Object::header(Es256).and("crit", "[\"kid\"]");
    cases.refuse(
        "crit",
        "under ES256",
        with(Es256, &known),
        Refusal::CriticalHeader,
    );
}

fn types(cases: &mut Builder) {
    let missing = Object::header(EdDsa).without("typ");
    cases.refuse(
        "typ",
        "missing",
        with(EdDsa, &missing),
        Refusal::WrongTokenType,
    );
    for value in [
        "\"JWT\"",
        "\"jwt\"",
        "\"\"",
        "\"at\"",
        "\"at+jwt \"",
        "\" at+jwt\"",
        "\"at+jwt;v=1\"",
        "\"id+jwt\"",
        "\"rt+jwt\"",
        "\"at_jwt\"",
        "\"application/jwt\"",
        "\"application/application/at+jwt\"",
        "\"text/at+jwt\"",
        "\"logout+jwt\"",
        "\"dpop+jwt\"",
        "\"JOSE\"",
        "null",
        "1",
        "[\"at+jwt\"]",
        "{}",
    ] {
        cases.refuse("typ", value, changed("typ", value), Refusal::WrongTokenType);
    }
}

fn duplicates(cases: &mut Builder) {
    let header = || Object::header(EdDsa);
    let kid = format!("\"{}\"", signing_key(EdDsa).kid());
    for (name, header) in [
        ("alg, the same", header().and("alg", "\"EdDSA\"")),
        ("alg, none", header().and("alg", "\"none\"")),
        ("alg, once escaped", header().and(r"\u0061lg", "\"none\"")),
        ("kid, the same", header().and("kid", kid)),
        ("kid, another", header().and("kid", "\"x\"")),
        ("typ", header().and("typ", "\"JWT\"")),
        ("crit", header().and("crit", "[]").and("crit", "[]")),
        ("an unknown member", header().and("x", 1).and("x", 1)),
    ] {
        let token = with(EdDsa, &header);
        cases.refuse(
            "duplicate header member",
            name,
            token,
            Refusal::DuplicateMember,
        );
    }
    cases.accept("duplicate header member", "none", good(EdDsa), &claims());
}
