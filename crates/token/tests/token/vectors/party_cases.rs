//! The issuer or the audience is nearly the right one.

use countersign_token::Refusal;

use super::{
    builder::{Builder, Object},
    claim_cases::{changed, quoted, with},
};
use crate::support::{AUDIENCE, ISSUER};

pub(super) fn add(cases: &mut Builder) {
    for (name, value) in near_misses(ISSUER) {
        cases.refuse(
            "issuer",
            name,
            changed("iss", quoted(&value)),
            Refusal::WrongIssuer,
        );
    }
    for (name, value) in near_misses(AUDIENCE) {
        let token = changed("aud", quoted(&value));
        cases.refuse("audience", name, token, Refusal::WrongAudience);
        let token = changed("aud", format!(r#"[{},"x"]"#, quoted(&value)));
        let name = format!("in an array: {name}");
        cases.refuse("audience", &name, token, Refusal::WrongAudience);
    }
    cases.refuse(
        "audience",
        "none",
        changed("aud", "[]"),
        Refusal::WrongAudience,
    );
    let swapped = Object::payload()
        .with("iss", quoted(AUDIENCE))
        .with("aud", quoted(ISSUER));
    cases.refuse(
        "issuer",
        "issuer and audience exchanged",
        with(swapped),
        Refusal::WrongIssuer,
    );
}

fn near_misses(text: &str) -> Vec<(&'static str, String)> {
    vec![
        ("longer at the end", format!("{text}.evil.example")),
        (
            "longer at the front",
            format!("https://evil.example/?{text}"),
        ),
        ("shorter", text[..text.len() - 1].into()),
        ("only its beginning", "https://".into()),
        ("empty", String::new()),
        ("with a slash", format!("{text}/")),
        ("with a space", format!("{text} ")),
        ("with a null character", format!(r"{text}\u0000")),
        ("in upper case", text.to_uppercase()),
        ("with a port", format!("{text}:443")),
        ("over http", text.replace("https", "http")),
        ("with a look-alike letter", text.replacen('e', r"\u0435", 1)),
        ("several in one string", format!("{text} {text}")),
    ]
}
