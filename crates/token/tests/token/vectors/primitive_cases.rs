//! Edge values of each primitive.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RsaEncoding},
};
use countersign_token::Algorithm::{EdDsa, Es256, Hs256, Rs256};

use super::{
    builder::{Builder, signature},
    signature_cases::{refuse, signed},
};
use crate::support::{RawKey, SECRET, base64url, claims, hmac_sha256, signing_key, unbase64url};

/// The order of P-256, and of the Ed25519 base point (little endian).
const P256_ORDER: &str = "_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE";
const ED25519_ORDER: &str = "7dP1XBpjEljWnPei3vneFAAAAAAAAAAAAAAAAAAAABA";

pub(super) fn add(cases: &mut Builder) {
    ecdsa(cases);
    eddsa(cases);
    rsa(cases);
    mac(cases);
}

fn ecdsa(cases: &mut Builder) {
    let good = signature(Es256, &signed(Es256));
    let (r, s) = good.split_at(32);
    let order = unbase64url(P256_ORDER);
    let zero = [0; 32];
    let one = [&zero[..31], &[1]].concat();
    let order_less_one = minus(&order, &one);
    let order_plus_one = plus(&order, &one);
    for (name, class, bytes) in [
        (
            "r and s zero",
            "InvalidSignature (CVE-2022-21449)",
            [zero, zero].concat(),
        ),
        (
            "r zero",
            "InvalidSignature (CVE-2022-21449)",
            [&zero, s].concat(),
        ),
        (
            "s zero",
            "InvalidSignature (CVE-2022-21449)",
            [r, &zero].concat(),
        ),
        ("r and s one", "EdgeCase", [one.as_slice(), &one].concat()),
        (
            "r the order, s zero",
            "EdgeCase",
            [order.as_slice(), &zero].concat(),
        ),
        (
            "r and s the order",
            "EdgeCase",
            [order.as_slice(), &order].concat(),
        ),
        (
            "r the order, s one",
            "EdgeCase",
            [order.as_slice(), &one].concat(),
        ),
        (
            "r one, s the order less one",
            "EdgeCase",
            [one.as_slice(), &order_less_one].concat(),
        ),
        (
            "r and s the order and one",
            "EdgeCase",
            [order_plus_one.as_slice(), &order_plus_one].concat(),
        ),
        ("r and s exchanged", "ModifiedSignature", [s, r].concat()),
        (
            "r replaced by the order less r",
            "ModifiedSignature",
            [minus(&order, r).as_slice(), s].concat(),
        ),
        (
            "33 bytes each",
            "SignatureSize",
            [&[0], r, &[0], s].concat(),
        ),
        (
            "64 bytes each",
            "SignatureSize",
            [&zero, r, &zero, s].concat(),
        ),
        ("ASN.1 DER", "SignatureEncoding", der(r, s)),
        ("r alone", "SignatureSize", r.to_vec()),
    ] {
        refuse(cases, class, Es256, name, &bytes);
    }
    // RFC 7518 §3.4 does not ask for the smaller of s and n − s: both are signatures.
    let twin = [r, &minus(&order, s)].concat();
    let token = format!("{}.{}", signed(Es256), base64url(twin));
    cases.accept(
        "SignatureMalleability",
        "ES256, s replaced by the order less s is valid",
        token,
        &claims(),
    );
}

fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(31);
        let bytes = &bytes[start..];
        let sign = if bytes[0] >= 0x80 { vec![0] } else { vec![] };
        let body = [sign.as_slice(), bytes].concat();
        [&[2, body.len() as u8], body.as_slice()].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, body.len() as u8], body.as_slice()].concat()
}

fn eddsa(cases: &mut Builder) {
    let good = signature(EdDsa, &signed(EdDsa));
    let (r, s) = good.split_at(32);
    let little_endian = |bytes: &[u8]| -> Vec<u8> { bytes.iter().rev().copied().collect() };
    let order = little_endian(&unbase64url(ED25519_ORDER));
    let s_plus = |times: usize| {
        let sum = (0..times).fold(little_endian(s), |sum, _| plus(&sum, &order));
        [r, &little_endian(&sum)].concat()
    };
    let mut high = good.clone();
    high[63] |= 0x80;
    let mut sign = good.clone();
    sign[31] ^= 0x80;
    let identity = [&[1], [0; 31].as_slice()].concat();
    for (name, class, bytes) in [
        ("S and the order", "SignatureMalleability", s_plus(1)),
        ("S and twice the order", "SignatureMalleability", s_plus(2)),
        ("the highest bit of S", "SignatureMalleability", high),
        ("the sign of R", "ModifiedSignature", sign),
        (
            "R the identity",
            "InvalidSignature",
            [identity.as_slice(), s].concat(),
        ),
        (
            "R the identity, S zero",
            "InvalidSignature",
            [identity.as_slice(), &[0; 32]].concat(),
        ),
        ("S zero", "InvalidSignature", [r, &[0; 32]].concat()),
        ("R and S exchanged", "ModifiedSignature", [s, r].concat()),
        (
            "public key as R",
            "InvalidSignature",
            [RawKey::new(EdDsa, false).public_bytes().as_slice(), s].concat(),
        ),
    ] {
        refuse(cases, class, EdDsa, name, &bytes);
    }
}

fn rsa(cases: &mut Builder) {
    let message = signed(Rs256);
    let good = signature(Rs256, &message);
    let jwk = signing_key(Rs256).verification_key().to_jwk().unwrap();
    let modulus = unbase64url(jwk["n"].as_str().unwrap());
    let RawKey::Rs256(pair) = RawKey::new(Rs256, false) else {
        unreachable!("an RS256 key")
    };
    let with = |encoding: &'static dyn RsaEncoding| {
        let mut bytes = vec![0; pair.public_modulus_len()];
        pair.sign(
            encoding,
            &SystemRandom::new(),
            message.as_bytes(),
            &mut bytes,
        )
        .unwrap();
        bytes
    };
    for (name, class, bytes) in [
        ("PKCS #1 with SHA-384", "WrongHash", with(&RSA_PKCS1_SHA384)),
        ("PKCS #1 with SHA-512", "WrongHash", with(&RSA_PKCS1_SHA512)),
        (
            "signature and modulus",
            "SignatureRange",
            plus(&good, &modulus),
        ),
        (
            "modulus less signature",
            "SignatureRange",
            minus(&modulus, &good),
        ),
        ("the modulus", "SignatureRange", modulus.clone()),
        ("one", "SignatureRange", [vec![0; 255], vec![1]].concat()),
        (
            "modulus less one",
            "SignatureRange",
            minus(&modulus, &[vec![0; 255], vec![1]].concat()),
        ),
        (
            "the padded digest itself",
            "InvalidPadding",
            padded_digest(message.as_bytes()),
        ),
    ] {
        refuse(cases, class, Rs256, name, &bytes);
    }
}

/// What an RS256 signature is the root of (RFC 8017 §9.2).
fn padded_digest(message: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    let prefix = [
        0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20,
    ];
    let info = [&prefix, digest(&SHA256, message).as_ref()].concat();
    let padding = vec![0xff; 256 - info.len() - 3];
    [[0, 1].as_slice(), &padding, &[0], &info].concat()
}

fn mac(cases: &mut Builder) {
    let message = signed(Hs256);
    let good = signature(Hs256, &message);
    let other_hash = |algorithm| {
        let key = hmac::Key::new(algorithm, SECRET);
        hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message.as_bytes());
    let keyed = [SECRET, message.as_bytes()].concat();
    let keyed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &keyed);
    for (name, class, bytes) in [
        ("16 bytes of the tag", "TruncatedMac", good[..16].to_vec()),
        ("31 bytes of the tag", "TruncatedMac", good[..31].to_vec()),
        ("HMAC-SHA-512", "WrongHash", other_hash(hmac::HMAC_SHA512)),
        ("HMAC-SHA-384", "WrongHash", other_hash(hmac::HMAC_SHA384)),
        (
            "HMAC-SHA-512 cut to 32 bytes",
            "WrongHash",
            other_hash(hmac::HMAC_SHA512)[..32].to_vec(),
        ),
        (
            "no secret",
            "WrongKey",
            hmac_sha256(b"", message.as_bytes()),
        ),
        (
            "a secret of zeros",
            "WrongKey",
            hmac_sha256(&[0; 64], message.as_bytes()),
        ),
        (
            "the kid as secret",
            "WrongKey",
            hmac_sha256(signing_key(Hs256).kid().as_bytes(), message.as_bytes()),
        ),
        (
            "the secret in base64url",
            "WrongKey",
            hmac_sha256(base64url(SECRET).as_bytes(), message.as_bytes()),
        ),
        (
            "the secret and newline",
            "WrongKey",
            hmac_sha256(&[SECRET, b"\n"].concat(), message.as_bytes()),
        ),
        (
            "SHA-256 without a key",
            "WrongKey",
            digest.as_ref().to_vec(),
        ),
        (
            "SHA-256 of key and message",
            "WrongKey",
            keyed.as_ref().to_vec(),
        ),
    ] {
        refuse(cases, class, Hs256, name, &bytes);
    }
}

/// Big-endian addition; the result is one byte longer where it overflows.
fn plus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = vec![0; a.len()];
    let mut carry = 0;
    for i in (0..a.len()).rev() {
        let total = u16::from(a[i]) + u16::from(b[i]) + carry;
        sum[i] = total as u8;
        carry = total >> 8;
    }
    if carry > 0 {
        sum.insert(0, 1);
    }
    sum
}

/// Big-endian subtraction of the smaller from the larger.
fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; a.len()];
    let mut borrow = 0;
    for i in (0..a.len()).rev() {
        let total = i16::from(a[i]) - i16::from(b[i]) - borrow;
        difference[i] = total.rem_euclid(256) as u8;
        borrow = i16::from(total < 0);
    }
    difference
}
