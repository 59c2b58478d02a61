//! `alg` is none, or not the key's.

use countersign_token::{Algorithm::EdDsa, Refusal};

use super::{
    builder::{Builder, Object, signed_part},
    header_cases::{changed, with},
};
use crate::support::ALGORITHMS;

pub(super) fn add(cases: &mut Builder) {
    no_algorithm(cases);
    other_algorithm(cases);
}

fn no_algorithm(cases: &mut Builder) {
    let class = "alg none";
    let refusal = Refusal::AlgorithmMismatch;
    for spelling in [
        "none",
        "None",
        "NONE",
        "nOnE",
        "noNe",
        " none",
        "none ",
        r"n\u006fne",
        "",
    ] {
        let value = format!("\"{spelling}\"");
        for algorithm in ALGORITHMS {
            let header = Object::header(algorithm).with("alg", &value);
            let name = |what: &str| format!("{spelling:?} with the {algorithm} key, {what}");
            let unsigned = signed_part(header.json(), Object::payload().json());
            cases.refuse(
                class,
                &name("no signature"),
                format!("{unsigned}."),
                refusal,
            );
            cases.refuse(class, &name("signed"), with(algorithm, &header), refusal);
        }
        let header = Object::header(EdDsa).with("alg", &value).without("kid");
        let unsigned = signed_part(header.json(), Object::payload().json());
        let name = format!("{spelling:?} without a key");
        cases.refuse(class, &name, format!("{unsigned}."), Refusal::MissingKeyId);
    }
}

fn other_algorithm(cases: &mut Builder) {
    let class = "alg of another key";
    let refusal = Refusal::AlgorithmMismatch;
    for key in ALGORITHMS {
        for named in ALGORITHMS.into_iter().filter(|named| *named != key) {
            let header = Object::header(key).with("alg", format!("\"{named}\""));
            let name = |signer| format!("{named} named, {key} key, {signer} signature");
            cases.refuse(class, &name(key), with(key, &header), refusal);
            cases.refuse(class, &name(named), with(named, &header), refusal);
        }
    }
    for value in [
        "\"eddsa\"",
        "\"EDDSA\"",
        "\"Ed25519\"",
        "\"ES384\"",
        "\"ES256K\"",
        "\"PS256\"",
        "\"HS512\"",
        "\"EdDSA \"",
        "null",
        "1",
        "[\"EdDSA\"]",
        "{}",
    ] {
        cases.refuse(class, value, changed("alg", value), refusal);
    }
    let missing = Object::header(EdDsa).without("alg");
    cases.refuse(class, "no alg", with(EdDsa, &missing), refusal);
}
