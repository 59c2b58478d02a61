//! A claim has another JSON type than it must have, or is written in another way.

use countersign_token::Refusal;

use super::{
    builder::Builder,
    claim_cases::{changed, quoted},
};
use crate::support::{AUDIENCE, id};

pub(super) fn add(cases: &mut Builder) {
    let class = "claim of the wrong type";
    for claim in ["exp", "nbf", "iat", "auth_time"] {
        for value in [
            "\"1800000100\"",
            "\"x\"",
            "\"\"",
            "null",
            "true",
            "1800000100.5",
            "1800000100.0",
            "1.8000001e9",
            "9223372036854775808",
            "-9223372036854775809",
            "100000000000000000000000000000",
            "1e300",
            "[]",
            "[1800000100]",
            "{}",
        ] {
            let name = format!("{claim} = {value}");
            cases.refuse(
                class,
                &name,
                changed(claim, value),
                Refusal::WrongType(claim),
            );
        }
        for value in [
            "1e400",
            "01800000100",
            "+1800000100",
            "0x6b49d264",
            "NaN",
            "Infinity",
        ] {
            let name = format!("{claim} = {value}");
            cases.refuse(class, &name, changed(claim, value), Refusal::Malformed);
        }
    }
    for claim in ["iss", "sub", "jti", "sid", "scope"] {
        for value in ["null", "1", "true", "{}", "[]", "[\"x\"]"] {
            let name = format!("{claim} = {value}");
            cases.refuse(
                class,
                &name,
                changed(claim, value),
                Refusal::WrongType(claim),
            );
        }
    }
    for claim in ["sub", "jti", "sid"] {
        let plain = id(1).simple().to_string();
        for value in [
            "",
            "1",
            "admin",
            &plain,
            &format!("{{{}}}", id(1)),
            &format!("urn:uuid:{}", id(1)),
            &format!("{} ", id(1)),
            "018f4d2e-0000-7000-8000-00000000000g",
            "018f4d2e0000-7000-8000-0000-00000001",
        ] {
            let name = format!("{claim} = {value:?}");
            let token = changed(claim, quoted(value));
            cases.refuse(class, &name, token, Refusal::WrongType(claim));
        }
    }
    for (claim, values) in [
        (
            "aud",
            ["null", "1", "{}", "true", "[1]", "[null]", "[[\"x\"]]"],
        ),
        (
            "amr",
            ["null", "1", "{}", "\"pwd\"", "[1]", "[null]", "[[\"x\"]]"],
        ),
        (
            "roles",
            ["null", "1", "{}", "\"admin\"", "[1]", "[null]", "[[\"x\"]]"],
        ),
    ] {
        for value in values {
            let name = format!("{claim} = {value}");
            cases.refuse(
                class,
                &name,
                changed(claim, value),
                Refusal::WrongType(claim),
            );
        }
    }
    let mixed = changed("aud", format!("[{},7]", quoted(AUDIENCE)));
    cases.refuse(
        class,
        "aud right and a number",
        mixed,
        Refusal::WrongType("aud"),
    );
}
