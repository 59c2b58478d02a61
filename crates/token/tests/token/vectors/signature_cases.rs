//! Signatures: wrong ones, badly encoded ones, and right ones of something else.

use countersign_token::{
    Algorithm::{self, Es256},
    Refusal,
};

use super::{
    builder::{Builder, Object, good, signature, signed_part},
    form_cases::broken_base64,
};
use crate::support::{ALGORITHMS, base64url, claims, id};

pub(super) fn add(cases: &mut Builder) {
    for algorithm in ALGORITHMS {
        cases.accept("Normal", algorithm.as_str(), good(algorithm), &claims());
        modified(cases, algorithm);
        encodings(cases, algorithm);
        moved(cases, algorithm);
    }
}

pub(super) fn signed(algorithm: Algorithm) -> String {
    signed_part(Object::header(algorithm).json(), Object::payload().json())
}

pub(super) fn refuse(
    cases: &mut Builder,
    class: &str,
    algorithm: Algorithm,
    name: &str,
    signature: &[u8],
) {
    let token = format!("{}.{}", signed(algorithm), base64url(signature));
    let name = format!("{algorithm}, {name}");
    cases.refuse(class, &name, token, Refusal::BadSignature);
}

fn modified(cases: &mut Builder, algorithm: Algorithm) {
    let good = signature(algorithm, &signed(algorithm));
    let flipped = |place: usize, bit: u8| {
        let mut bytes = good.clone();
        bytes[place] ^= bit;
        bytes
    };
    let end = good.len() - 1;
    for (name, bytes) in [
        ("first bit", flipped(0, 0x80)),
        ("last bit", flipped(end, 1)),
        ("a bit in the middle", flipped(end / 2, 4)),
        ("first byte cut", good[1..].to_vec()),
        ("last byte cut", good[..end].to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
        ("a zero byte in front", [&[0], good.as_slice()].concat()),
        ("a zero byte behind", [good.as_slice(), &[0]].concat()),
        ("twice", good.repeat(2)),
        ("reversed", good.iter().rev().copied().collect()),
        ("all zero", vec![0; good.len()]),
        ("all ones", vec![0xff; good.len()]),
        ("empty", vec![]),
        ("one zero byte", vec![0]),
    ] {
        refuse(cases, "ModifiedSignature", algorithm, name, &bytes);
    }
}

fn encodings(cases: &mut Builder, algorithm: Algorithm) {
    let signed = signed(algorithm);
    let bytes = signature(algorithm, &signed);
    let text = base64url(&bytes);
    // An HMAC tag leaves two bytes over: one character of padding, two unused bits.
    let spellings = match text.len() % 4 {
        2 => broken_base64(&text),
        _ => vec![
            ("with padding", format!("{text}=")),
            ("with a newline behind", format!("{text}\n")),
            (
                "with a space inside",
                format!("{} {}", &text[..9], &text[9..]),
            ),
            ("with one unused bit set", one_up(&text)),
        ],
    };
    for (name, text) in spellings {
        let name = format!("{algorithm}, {name}");
        cases.refuse(
            "SignatureEncoding",
            &name,
            format!("{signed}.{text}"),
            Refusal::Malformed,
        );
    }
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{algorithm}, in hexadecimal");
    cases.refuse(
        "SignatureEncoding",
        &name,
        format!("{signed}.{hex}"),
        Refusal::BadSignature,
    );
    let (front, back) = text.split_at(10);
    let swapped: String = front.chars().map(other_case).collect();
    let name = format!("{algorithm}, letters in the other case");
    cases.refuse(
        "SignatureEncoding",
        &name,
        format!("{signed}.{swapped}{back}"),
        Refusal::BadSignature,
    );
}

/// The next character of the alphabet; canonical texts end in one whose unused bits are zero.
fn one_up(text: &str) -> String {
    let (front, last) = text.split_at(text.len() - 1);
    let last = last.as_bytes()[0];
    assert!(
        last.is_ascii_alphanumeric() && !b"Zz9".contains(&last),
        "{}",
        last as char
    );
    format!("{front}{}", (last + 1) as char)
}

fn other_case(letter: char) -> char {
    if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    }
}

/// A right signature of something else.
fn moved(cases: &mut Builder, algorithm: Algorithm) {
    let header = Object::header(algorithm).json();
    let payload = Object::payload().json();
    let stranger = Object::payload()
        .with("sub", format!("\"{}\"", id(666)))
        .json();
    let changed = signed_part(&header, &stranger);
    for (name, message) in [
        ("of another payload", changed.clone()),
        ("of the payload alone", base64url(&payload)),
        ("of the payload's JSON", payload.clone()),
        (
            "of the text with its last dot",
            format!("{}.", signed(algorithm)),
        ),
        (
            "of the header in another order",
            signed_part(Object::header(algorithm).reversed().json(), &payload),
        ),
        ("of nothing", String::new()),
    ] {
        // ECDSA signatures are found again by the text that they sign, which must be one of a committed token.
        if algorithm != Es256 {
            refuse(
                cases,
                "SignatureOfOther",
                algorithm,
                name,
                &signature(algorithm, &message),
            );
        }
    }
    let token = format!(
        "{changed}.{}",
        base64url(signature(algorithm, &signed(algorithm)))
    );
    let name = format!("{algorithm}, payload changed");
    cases.refuse("SignatureOfOther", &name, token, Refusal::BadSignature);
}
