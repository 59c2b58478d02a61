//! The three parts: their number, their base64url, their JSON, their length.

use base64::{Engine, prelude::*};
use countersign_token::{
    Algorithm::{EdDsa, Hs256},
    MAX_HEADER_BYTES, MAX_TOKEN_BYTES, Refusal,
};

use super::builder::{Builder, Object, good, sign_text, signed_part, token};
use crate::support::{base64url, claims};

pub(super) fn add(cases: &mut Builder) {
    parts(cases);
    json(cases);
    signed_encodings(cases);
    lengths(cases);
}

fn parts(cases: &mut Builder) {
    let class = "parts";
    let token = good(EdDsa);
    let parts: Vec<&str> = token.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    for (name, token) in [
        ("empty", String::new()),
        ("a dot", ".".into()),
        ("a word", "token".into()),
        ("one", header.into()),
        ("two", format!("{header}.{payload}")),
        ("a dot at the end", format!("{token}.")),
        ("a dot twice", format!("{header}.{payload}..{signature}")),
        ("four", format!("{token}.{signature}")),
        (
            "five, as in a JWE",
            format!("{header}.{payload}.{signature}.{payload}.{signature}"),
        ),
        (
            "five, direct encryption",
            format!("{header}..{signature}.{payload}.{signature}"),
        ),
        (
            "JSON serialisation",
            format!(
                r#"{{"payload":"{payload}","protected":"{header}","signature":"{signature}"}}"#
            ),
        ),
        ("space in front", format!(" {token}")),
        ("a dot in front", format!(".{token}")),
        ("Bearer in front", format!("Bearer {token}")),
        ("space behind", format!("{token} ")),
        ("newline behind", format!("{token}\n")),
        ("null character behind", format!("{token}\0")),
        ("twice", format!("{token},{token}")),
        ("in quotes", format!("\"{token}\"")),
        ("other dots", token.replace('.', "\u{2024}")),
        ("header empty", format!(".{payload}.{signature}")),
    ] {
        cases.refuse(class, name, token, Refusal::Malformed);
    }
    for (name, token) in [
        ("payload empty", format!("{header}..{signature}")),
        (
            "payload and header exchanged",
            format!("{payload}.{header}.{signature}"),
        ),
    ] {
        let refusal = if name.starts_with("payload empty") {
            Refusal::BadSignature
        } else {
            Refusal::WrongTokenType
        };
        cases.refuse(class, name, token, refusal);
    }
}

/// Text that is no JSON object, behind a right signature.
fn json(cases: &mut Builder) {
    let good_header = Object::header(EdDsa).json();
    let good_payload = Object::payload().json();
    let broken = |good: &str| -> Vec<(&'static str, Vec<u8>)> {
        let cut = &good[..good.len() - 1];
        vec![
            ("empty", vec![]),
            ("null", b"null".into()),
            ("a number", b"1".into()),
            ("a string", b"\"x\"".into()),
            ("an array", format!("[{good}]").into()),
            ("cut", cut.into()),
            ("two objects", format!("{good}{good}").into()),
            ("text behind", format!("{good}x").into()),
            ("a null character behind", format!("{good}\0").into()),
            ("a comma behind", format!("{cut},}}").into()),
            ("a comment", format!("/**/{good}").into()),
            ("single quotes", good.replace('"', "'").into()),
            ("a byte order mark", format!("\u{feff}{good}").into()),
            (
                "UTF-16",
                good.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            ),
            (
                "invalid UTF-8",
                [cut.as_bytes(), b",\"x\":\"\xff\"}"].concat(),
            ),
            (
                "overlong UTF-8",
                [cut.as_bytes(), b",\"\xc1\xa5xp\":1}"].concat(),
            ),
            (
                "a bare newline in a string",
                format!("{cut},\"x\":\"\n\"}}").into(),
            ),
        ]
    };
    for (name, payload) in broken(&good_payload) {
        let token = sign_text(EdDsa, &signed_part(&good_header, payload));
        cases.refuse("payload is no JSON object", name, token, Refusal::Malformed);
    }
    for (name, header) in broken(&good_header) {
        let token = sign_text(EdDsa, &signed_part(header, &good_payload));
        cases.refuse("header is no JSON object", name, token, Refusal::Malformed);
    }
    let spaced = sign_text(
        EdDsa,
        &signed_part(
            format!(" {good_header}\n"),
            format!("\t{good_payload}\r\n "),
        ),
    );
    cases.accept(
        "payload is no JSON object",
        "white space around is allowed",
        spaced,
        &claims(),
    );
}

/// A header or payload that is badly encoded, behind a right signature of just that text.
fn signed_encodings(cases: &mut Builder) {
    let header = base64url(Object::header(EdDsa).json());
    // Lengths that leave one byte over, so that the last character has four unused bits and padding would be two characters.
    let spaces = |text: String| {
        let missing = (4 - text.len() % 3) % 3;
        text + &" ".repeat(missing)
    };
    let open_header = base64url(spaces(Object::header(EdDsa).json()));
    let payload = base64url(spaces(Object::payload().json()));
    cases.accept(
        "base64url",
        "spaces inside",
        sign_text(EdDsa, &format!("{open_header}.{payload}")),
        &claims(),
    );
    for (name, broken) in broken_base64(&payload) {
        let token = sign_text(EdDsa, &format!("{header}.{broken}"));
        cases.refuse(
            "base64url",
            &format!("payload {name}"),
            token,
            Refusal::Malformed,
        );
    }
    for (name, broken) in broken_base64(&open_header) {
        let token = sign_text(EdDsa, &format!("{broken}.{payload}"));
        cases.refuse(
            "base64url",
            &format!("header {name}"),
            token,
            Refusal::Malformed,
        );
    }
}

/// Ways to spell the same bytes, or nearly, that a strict reader refuses. `text` must leave four bits unused.
pub(super) fn broken_base64(text: &str) -> Vec<(&'static str, String)> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (front, last) = text.split_at(text.len() - 1);
    let value = ALPHABET
        .iter()
        .position(|c| *c == last.as_bytes()[0])
        .unwrap();
    assert!(BASE64_URL_SAFE_NO_PAD.decode(text).is_ok() && text.len() % 4 == 2 && value % 16 == 0);
    let trailing = |bits: usize| format!("{front}{}", ALPHABET[value + bits] as char);
    let middle = |what: &str| format!("{}{what}{}", &text[..20], &text[20..]);
    vec![
        ("with padding", format!("{text}==")),
        ("with half the padding", format!("{text}=")),
        ("with one unused bit set", trailing(1)),
        ("with all unused bits set", trailing(15)),
        ("with a space behind", format!("{text} ")),
        ("with a newline behind", format!("{text}\n")),
        ("with a newline inside", middle("\n")),
        ("with a space inside", middle(" ")),
        ("with a null character inside", middle("\0")),
        ("with padding inside", middle("====")),
        ("with a character of the other alphabet", middle("+//+")),
        ("with a percent escape", middle("%41%")),
        ("with a letter beyond ASCII", middle("é")),
        ("with one character too many", format!("{text}AAA")),
    ]
}

fn lengths(cases: &mut Builder) {
    let filled = |length: usize| Object::payload().and("x", format!("\"{}\"", "x".repeat(length)));
    let of_payload = |length| token(Hs256, &Object::header(Hs256), &filled(length));
    let fits = (0..)
        .map(of_payload)
        .skip(5500)
        .find(|token| token.len() >= MAX_TOKEN_BYTES - 1);
    let too_long = (0..)
        .map(of_payload)
        .skip(5500)
        .find(|token| token.len() > MAX_TOKEN_BYTES);
    let fits = fits.filter(|token| token.len() <= MAX_TOKEN_BYTES).unwrap();
    cases.accept("length", "a token of 8 KiB at most", fits, &claims());
    cases.refuse(
        "length",
        "a token over 8 KiB",
        too_long.unwrap(),
        Refusal::TooLong,
    );

    let of_header = |length: usize| {
        let header = Object::header(Hs256).and("x", format!("\"{}\"", "x".repeat(length)));
        token(Hs256, &header, &Object::payload())
    };
    let header_length = |token: &str| token.find('.').unwrap();
    let fits = (500..)
        .map(of_header)
        .find(|token| header_length(token) == MAX_HEADER_BYTES);
    let too_long = (500..)
        .map(of_header)
        .find(|token| header_length(token) > MAX_HEADER_BYTES);
    cases.accept("length", "a header of 1 KiB", fits.unwrap(), &claims());
    cases.refuse(
        "length",
        "a header over 1 KiB",
        too_long.unwrap(),
        Refusal::TooLong,
    );
}
