//! One claim is changed, behind a right signature; the unchanged token is accepted.

use countersign_token::{
    Algorithm::{self, EdDsa},
    Audience, Claims, Refusal,
};

use super::{
    builder::{Builder, Object, good, token},
    claim_type_cases, party_cases,
};
use crate::support::{ALGORITHMS, AUDIENCE, NOW, claims, id};

pub(super) fn add(cases: &mut Builder) {
    for algorithm in ALGORITHMS {
        cases.accept("valid", algorithm.as_str(), good(algorithm), &claims());
    }
    accepted_variants(cases);
    times(cases);
    claim_type_cases::add(cases);
    missing(cases);
    party_cases::add(cases);
    duplicates(cases);
}

const ALGORITHM: Algorithm = EdDsa;

pub(super) fn with(payload: Object) -> String {
    token(ALGORITHM, &Object::header(ALGORITHM), &payload)
}

pub(super) fn changed(name: &str, value: impl ToString) -> String {
    with(Object::payload().with(name, value))
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn accepted_variants(cases: &mut Builder) {
    let class = "valid";
    let same = claims();
    let unknown = Object::payload()
        .and("email", "\"a@example.com\"")
        .and("act", r#"{"sub":["x",null,1.5]}"#);
    cases.accept(class, "unknown claims are ignored", with(unknown), &same);
    let reordered = with(Object::payload().reversed());
    cases.accept(class, "claims in another order", reordered, &same);
    let escaped = Object::payload().without("sub");
    let escaped = escaped.and(r"\u0073ub", quoted(&id(1).to_string()));
    cases.accept(class, "an escaped claim name", with(escaped), &same);
    let upper = changed("sub", quoted(&id(1).to_string().to_uppercase()));
    cases.accept(class, "an id in upper case", upper, &same);
    let minimal = ["auth_time", "amr", "scope", "roles"]
        .iter()
        .fold(Object::payload(), |payload, name| payload.without(name));
    let bare = Claims {
        auth_time: 0,
        amr: vec![],
        scope: String::new(),
        roles: vec![],
        ..claims()
    };
    cases.accept(class, "without the optional claims", with(minimal), &bare);
    let one = changed("aud", format!("[{}]", quoted(AUDIENCE)));
    cases.accept(class, "an array of one audience", one, &same);
    let several = changed("aud", format!(r#"["x",{}]"#, quoted(AUDIENCE)));
    let several_claims = Claims {
        aud: Audience::Many(vec!["x".into(), AUDIENCE.into()]),
        ..claims()
    };
    cases.accept(class, "one of several audiences", several, &several_claims);
}

/// Leeway 5 s, longest lifetime 3600 s.
fn times(cases: &mut Builder) {
    let far = NOW + 1_000_000;
    let accepted = |exp, nbf, iat| Claims {
        exp,
        nbf,
        iat,
        ..claims()
    };
    for (name, exp, nbf, iat) in [
        ("exp within the leeway", NOW - 4, None, NOW),
        ("exp at the end of time", i64::MAX, None, NOW),
        ("nbf now", NOW + 900, Some(NOW), NOW),
        (
            "nbf at the end of the leeway",
            NOW + 900,
            Some(NOW + 5),
            NOW,
        ),
        (
            "nbf at the beginning of time",
            NOW + 900,
            Some(i64::MIN),
            NOW,
        ),
        ("iat at the end of the leeway", NOW + 900, None, NOW + 5),
        ("as old as allowed", far, None, NOW - 3605),
    ] {
        let mut payload = Object::payload().with("exp", exp).with("iat", iat);
        if let Some(nbf) = nbf {
            payload = payload.with("nbf", nbf);
        }
        cases.accept("time", name, with(payload), &accepted(exp, nbf, iat));
    }
    for (name, claim, value, refusal) in [
        (
            "exp at the end of the leeway",
            "exp",
            NOW - 5,
            Refusal::Expired,
        ),
        ("exp long ago", "exp", 1, Refusal::Expired),
        ("exp negative", "exp", -1, Refusal::Expired),
        (
            "exp at the beginning of time",
            "exp",
            i64::MIN,
            Refusal::Expired,
        ),
        ("nbf after the leeway", "nbf", NOW + 6, Refusal::NotYetValid),
        (
            "nbf at the end of time",
            "nbf",
            i64::MAX,
            Refusal::NotYetValid,
        ),
        (
            "iat after the leeway",
            "iat",
            NOW + 6,
            Refusal::IssuedInFuture,
        ),
        (
            "iat at the end of time",
            "iat",
            i64::MAX,
            Refusal::IssuedInFuture,
        ),
        ("older than allowed", "iat", NOW - 3606, Refusal::TooOld),
        (
            "iat at the beginning of time",
            "iat",
            i64::MIN,
            Refusal::TooOld,
        ),
    ] {
        cases.refuse("time", name, changed(claim, value), refusal);
    }
}

fn missing(cases: &mut Builder) {
    for claim in ["iss", "sub", "aud", "iat", "exp", "jti", "sid"] {
        let token = with(Object::payload().without(claim));
        cases.refuse("missing claim", claim, token, Refusal::MissingClaim(claim));
        let other_case = Object::payload()
            .without(claim)
            .and(&claim.to_uppercase(), 1);
        let name = format!("{} in its place", claim.to_uppercase());
        cases.refuse(
            "missing claim",
            &name,
            with(other_case),
            Refusal::MissingClaim(claim),
        );
    }
    let empty = token(ALGORITHM, &Object::header(ALGORITHM), &empty_object());
    cases.refuse("missing claim", "all", empty, Refusal::MissingClaim("iss"));
}

fn empty_object() -> Object {
    let names = [
        "iss",
        "sub",
        "aud",
        "iat",
        "exp",
        "jti",
        "sid",
        "auth_time",
        "amr",
        "scope",
        "roles",
    ];
    names
        .iter()
        .fold(Object::payload(), |payload, name| payload.without(name))
}

fn duplicates(cases: &mut Builder) {
    let class = "duplicate claim";
    let stranger = quoted(&id(666).to_string());
    for (name, payload) in [
        (
            "sub, another value",
            Object::payload().and("sub", &stranger),
        ),
        (
            "sub, the same value",
            Object::payload().and("sub", quoted(&id(1).to_string())),
        ),
        (
            "sub, once escaped",
            Object::payload().and(r"\u0073ub", &stranger),
        ),
        ("exp", Object::payload().and("exp", NOW + 9000)),
        ("nbf", Object::payload().and("nbf", 0).and("nbf", 0)),
        ("aud", Object::payload().and("aud", quoted(AUDIENCE))),
        ("iss", Object::payload().and("iss", "\"x\"")),
        ("roles", Object::payload().and("roles", "[]")),
        (
            "an unknown claim",
            Object::payload().and("x", 1).and("x", 1),
        ),
        (
            "an unknown claim, once escaped",
            Object::payload().and("x", 1).and(r"\u0078", 2),
        ),
    ] {
        cases.refuse(class, name, with(payload), Refusal::DuplicateMember);
    }
}
