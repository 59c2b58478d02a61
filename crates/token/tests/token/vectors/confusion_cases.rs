//! Key confusion (RFC 8725 §2.1): a public key, in every encoding that people pass around, taken as an HMAC secret.

use base64::{Engine, prelude::*};
use countersign_token::{
    Algorithm::{self, EdDsa, Es256, Hs256, Rs256},
    Refusal,
};

use super::builder::{Builder, Object, good, signed_part};
use crate::support::{RawKey, base64url, claims, hmac_sha256, pem, signing_key, unbase64url};

pub(super) fn add(cases: &mut Builder) {
    let class = "key confusion";
    for algorithm in [EdDsa, Es256, Rs256] {
        cases.accept(
            class,
            &format!("none, {algorithm}"),
            good(algorithm),
            &claims(),
        );
        for (encoding, secret) in encodings(algorithm) {
            let forge = |header: &Object| {
                let signed = signed_part(header.json(), Object::payload().json());
                let tag = hmac_sha256(&secret, signed.as_bytes());
                format!("{signed}.{}", base64url(tag))
            };
            let public_kid = Object::header(algorithm).with("alg", "\"HS256\"");
            let name = |kid: &str| format!("{algorithm} key as {encoding}, {kid}");
            let own = name("its own kid");
            cases.refuse(class, &own, forge(&public_kid), Refusal::AlgorithmMismatch);
            let without = name("no kid");
            cases.refuse(
                class,
                &without,
                forge(&public_kid.without("kid")),
                Refusal::MissingKeyId,
            );
            let secret_kid = name("the kid of the HS256 key");
            cases.refuse(
                class,
                &secret_kid,
                forge(&Object::header(Hs256)),
                Refusal::BadSignature,
            );
            // And where a verifier believes the key's algorithm but runs HMAC all the same.
            let honest_alg = name("its own kid and alg");
            let token = forge(&Object::header(algorithm));
            cases.refuse(class, &honest_alg, token, Refusal::BadSignature);
        }
    }
}

fn encodings(algorithm: Algorithm) -> Vec<(&'static str, Vec<u8>)> {
    let key = RawKey::new(algorithm, false);
    let spki = key.spki();
    let public_pem = pem("PUBLIC KEY", &spki);
    let jwk = signing_key(algorithm).verification_key().to_jwk().unwrap();
    let member = |name: &str| jwk[name].as_str().unwrap_or_default().to_owned();
    let thumbprint_json = match algorithm {
        EdDsa => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, member("x")),
        Es256 => format!(
            r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#,
            member("x"),
            member("y")
        ),
        _ => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            member("e"),
            member("n")
        ),
    };
    let number = if algorithm == Rs256 { "n" } else { "x" };
    let mut encodings: Vec<(&'static str, Vec<u8>)> = vec![
        ("PEM", public_pem.clone().into()),
        ("PEM and newline", format!("{public_pem}\n").into()),
        ("PEM and CRLF", public_pem.replace('\n', "\r\n").into()),
        ("space and PEM", format!(" {public_pem}").into()),
        ("newline and PEM", format!("\n{public_pem}\n").into()),
        ("PEM without lines", public_pem.replace('\n', "").into()),
        ("DER", spki.clone()),
        ("DER in base64", BASE64_STANDARD.encode(&spki).into()),
        ("its bytes", key.public_bytes()),
        ("JWK", thumbprint_json.clone().into()),
        (
            "JWK set",
            format!(r#"{{"keys":[{thumbprint_json}]}}"#).into(),
        ),
        ("the JWK's number", unbase64url(&member(number))),
        ("the JWK's number in base64url", member(number).into()),
        ("its kid", member("kid").into()),
        ("OpenSSH text", open_ssh(algorithm, &jwk).into()),
        (
            "OpenSSH text and newline",
            (open_ssh(algorithm, &jwk) + "\n").into(),
        ),
        ("nothing", vec![]),
    ];
    if algorithm == Rs256 {
        encodings.push((
            "PKCS #1 PEM",
            pem("RSA PUBLIC KEY", &key.public_bytes()).into(),
        ));
    }
    encodings
}

/// RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4.
fn open_ssh(algorithm: Algorithm, jwk: &serde_json::Value) -> String {
    let number = |name: &str| unbase64url(jwk[name].as_str().unwrap());
    let (name, fields) = match algorithm {
        EdDsa => ("ssh-ed25519", vec![number("x")]),
        Es256 => {
            let point = [vec![4], number("x"), number("y")].concat();
            ("ecdsa-sha2-nistp256", vec![b"nistp256".to_vec(), point])
        }
        // An `mpint` with its highest bit set gets a zero byte in front.
        _ => (
            "ssh-rsa",
            vec![number("e"), [vec![0], number("n")].concat()],
        ),
    };
    let mut blob = Vec::new();
    for field in std::iter::once(name.as_bytes()).chain(fields.iter().map(Vec::as_slice)) {
        blob.extend((field.len() as u32).to_be_bytes());
        blob.extend(field);
    }
    format!("{name} {}", BASE64_STANDARD.encode(blob))
}
