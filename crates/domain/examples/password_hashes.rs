//! Prints hashes of every kind that Countersign writes, for `scripts/passlib-vectors.py --check`.

use countersign_domain::password::{NewPassword, PasswordIssue, Scheme};
use serde_json::json;

const SCHEMES: [Scheme; 4] = [
    Scheme::Bcrypt { cost: 4 },
    Scheme::Bcrypt { cost: 12 },
    Scheme::ARGON2ID,
    Scheme::Argon2id {
        memory_kib: 256,
        iterations: 3,
        parallelism: 4,
    },
];

fn main() -> Result<(), PasswordIssue> {
    let passwords = [
        "Grüße, 世界 🦀".to_owned(),
        "before\0after".to_owned(),
        "aB3$".repeat(256),
    ];
    let lengths =
        [8, 71, 72, 73, 100].map(|length| "correct Horse".chars().cycle().take(length).collect());
    let mut hashes = Vec::new();
    for password in passwords.into_iter().chain(lengths) {
        let new = NewPassword::parse(&password)?;
        for (salt, scheme) in (0..).zip(SCHEMES) {
            let hash = scheme.hash(&new, [salt * 7 + 1; 16]);
            hashes.push(json!({ "password": password, "hash": hash.as_str() }));
        }
    }
    println!("{}", json!(hashes));
    Ok(())
}
