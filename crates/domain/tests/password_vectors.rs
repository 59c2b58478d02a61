//! Hashes made by passlib (`scripts/passlib-vectors.py`) are verified here, and made here to the last character.

use countersign_domain::password::{Kind, NewPassword, PasswordHash, PresentedPassword, Scheme};
use serde_json::Value;

const VECTORS: &str = include_str!("data/passlib.json");

struct Vector {
    case: String,
    password: String,
    salt: [u8; 16],
    hash: String,
    matches: bool,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    let text = |vector: &Value, name: &str| vector[name].as_str().unwrap().to_owned();
    vectors
        .iter()
        .map(|vector| Vector {
            case: text(vector, "case"),
            password: text(vector, "password"),
            salt: u128::from_str_radix(&text(vector, "salt"), 16)
                .unwrap()
                .to_be_bytes(),
            hash: text(vector, "hash"),
            matches: vector["matches"].as_bool().unwrap(),
        })
        .collect()
}

/// The setting that would make this hash, if any would: not for `$2a$`, `$2y$` and version 1.
fn scheme_of(hash: &str) -> Option<Scheme> {
    let number = |name: &str| -> u32 {
        let (_, rest) = hash.split_once(name).unwrap();
        rest.split([',', '$']).next().unwrap().parse().unwrap()
    };
    if hash.starts_with("$2b$") {
        return Some(Scheme::Bcrypt {
            cost: number("$2b$"),
        });
    }
    if hash.starts_with("$bcrypt-sha256$v=2,") {
        return Some(Scheme::Bcrypt { cost: number("r=") });
    }
    hash.starts_with("$argon2id$").then(|| Scheme::Argon2id {
        memory_kib: number("m="),
        iterations: number("t="),
        parallelism: number("p="),
    })
}

#[test]
fn hashes_made_by_passlib_are_verified() {
    let mut kinds = Vec::new();
    for Vector {
        case,
        password,
        hash,
        matches,
        ..
    } in vectors()
    {
        let hash = PasswordHash::parse(&hash).expect(&case);
        kinds.push(hash.kind());
        let verify = |text: &str| hash.verify(&PresentedPassword::new(text)).unwrap();
        assert_eq!(verify(&password), matches, "{case}");

        let last = password.char_indices().last().unwrap().0;
        // Where passlib cut the password, its first 72 bytes are what the hash is of.
        assert_eq!(verify(&password[..last]), !matches, "{case}");
        for other in [
            format!("{password}x"),
            password.to_uppercase(),
            String::new(),
        ] {
            assert!(!verify(&other), "{case}: {other:?}");
        }
    }
    for kind in [
        Kind::Bcrypt,
        Kind::BcryptSha256V1,
        Kind::BcryptSha256,
        Kind::Argon2id,
    ] {
        assert!(kinds.contains(&kind), "{kind:?}");
    }
}

#[test]
fn the_same_password_and_salt_give_the_same_string_as_in_passlib() {
    let mut made = 0;
    for Vector {
        case,
        password,
        salt,
        hash,
        matches,
    } in vectors()
    {
        let Some(scheme) = scheme_of(&hash) else {
            continue;
        };
        let ours = scheme.hash(&NewPassword::parse(&password).expect(&case), salt);
        // Below 73 bytes without NUL we write plain bcrypt where passlib, asked for it, writes the wrapped form.
        let plain = hash.contains("sha256") && password.len() <= 72 && !password.contains('\0');
        assert_eq!(ours.as_str() == hash, matches && !plain, "{case}");
        made += usize::from(ours.as_str() == hash);
    }
    assert!(made >= 20, "{made}");
}
