//! What a hash matches, what it never matches, and when it is replaced.

use countersign_domain::password::{
    Digest, Kind, NewPassword, PasswordHash, PresentedPassword, Scheme, SchemeIssue, Work,
};
use proptest::prelude::*;

const BCRYPT: Scheme = Scheme::Bcrypt { cost: 4 };
const ARGON2ID: Scheme = Scheme::Argon2id {
    memory_kib: 64,
    iterations: 1,
    parallelism: 1,
};
const BOTH: [Scheme; 2] = [BCRYPT, ARGON2ID];
const SALT: [u8; 16] = *b"sixteen bytes ok";

fn hash(scheme: Scheme, password: &str) -> PasswordHash {
    scheme.hash(&NewPassword::parse(password).unwrap(), SALT)
}

fn matches(hash: &PasswordHash, password: &str) -> bool {
    hash.verify(&PresentedPassword::new(password)).unwrap()
}

/// A plain bcrypt hash such as another system may have stored: of the first 72 bytes, whatever they are.
fn truncating_bcrypt(password: &str) -> PasswordHash {
    let parts = bcrypt::hash_with_salt(password, 4, SALT).unwrap();
    PasswordHash::parse(&parts.format_for_version(bcrypt::Version::TwoB)).unwrap()
}

#[test]
fn the_kind_changes_where_bcrypt_would_cut() {
    let long = "0123456789abcdef".repeat(64);
    for (length, kind) in [
        (8, Kind::Bcrypt),
        (71, Kind::Bcrypt),
        (72, Kind::Bcrypt),
        (73, Kind::BcryptSha256),
        (1_024, Kind::BcryptSha256),
    ] {
        let password = &long[..length];
        let hash = hash(BCRYPT, &format!("X{}", &password[1..]));
        assert_eq!(hash.kind(), kind, "{length}");
        assert!(matches(&hash, &format!("X{}", &password[1..])), "{length}");
        for near in [length - 1, length + 1] {
            let near = format!("X{}", &long.repeat(2)[1..near]);
            assert!(!matches(&hash, &near), "{length} against {}", near.len());
        }
    }
    assert_eq!(hash(BCRYPT, "before\0after").kind(), Kind::BcryptSha256);
    assert_eq!(hash(ARGON2ID, "before\0after").kind(), Kind::Argon2id);
}

#[test]
fn seventy_two_bytes_are_the_bytes_that_bcrypt_takes() {
    let password = "X".to_owned() + &"0123456789abcdef".repeat(5)[..71];
    assert_eq!(hash(BCRYPT, &password), truncating_bcrypt(&password));
    assert_eq!(
        hash(BCRYPT, &password[..71]),
        truncating_bcrypt(&password[..71])
    );
}

#[test]
fn a_truncated_match_is_none() {
    let longer = "0123456789abcdef".repeat(5);
    let stored = truncating_bcrypt(&longer);
    assert!(matches(&stored, &longer[..72]));
    assert!(!matches(&stored, &longer));
    assert!(!matches(&stored, &longer[..73]));
}

#[test]
fn a_nul_byte_ends_or_repeats_no_password() {
    // bcrypt repeats its key `correct horse\0`, so to it these are one password.
    let repeated = "correct horse\0correct horse";
    assert_eq!(
        truncating_bcrypt("correct horse"),
        truncating_bcrypt(repeated)
    );
    assert!(!matches(&truncating_bcrypt("correct horse"), repeated));
    for scheme in BOTH {
        let stored = hash(scheme, "correct horse\0battery");
        assert!(matches(&stored, "correct horse\0battery"));
        assert!(!matches(&stored, "correct horse"));
        assert!(!matches(&stored, "correct horse\0staples"));
    }
}

#[test]
fn composed_and_decomposed_are_one_password() {
    for scheme in BOTH {
        let stored = hash(scheme, "Gru\u{308}ße 한글");
        assert_eq!(
            stored,
            hash(
                scheme,
                "Grüße \u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}"
            )
        );
        assert!(matches(&stored, "Grüße 한글"));
        assert!(!matches(&stored, "Grusse 한글"));
        assert!(!matches(&stored, "grüße 한글"));
    }
}

#[test]
fn what_can_match_nothing_costs_the_same_work() {
    let too_long = "x".repeat(1_025);
    for scheme in BOTH {
        for stored in [
            hash(scheme, "correct horse"),
            hash(scheme, &too_long[..1_024]),
        ] {
            for presented in ["", "wrong", "\0", &too_long, &"x".repeat(100_000)] {
                assert!(!matches(&stored, presented), "{} bytes", presented.len());
                let right = stored.verification(&PresentedPassword::new("correct horse"));
                let other = stored.verification(&PresentedPassword::new(presented));
                assert_eq!(cost(right.work()), cost(other.work()));
            }
        }
    }
    assert!(!matches(&truncating_bcrypt("correct horse"), ""));
    // What is hashed in place of such a password must not match either.
    for scheme in BOTH {
        let empty = scheme.rehash(&PresentedPassword::new(""), SALT).unwrap();
        assert!(matches(&empty, ""));
        assert!(!matches(&empty, &too_long));
    }
    assert!(!matches(&truncating_bcrypt(""), &too_long[..73]));
    assert!(!matches(&truncating_bcrypt(""), "\0"));
}

/// All that decides the work: kind and parameters, and the length of salt and digest together.
fn parameters(hash: &PasswordHash) -> (&str, usize) {
    let text = hash.as_str();
    let sections = if hash.kind() == Kind::Argon2id { 3 } else { 2 };
    let parameters = text.rsplitn(sections, '$').last().unwrap();
    (parameters, text.len())
}

/// What the work costs: bcrypt's exponent, or 0 for argon2id, whose parameters the caller compares as text.
fn cost(work: &Work) -> u32 {
    match work {
        Work::Bcrypt(work) => work.cost(),
        Work::Argon2id(_) => 0,
    }
}

#[test]
fn the_stand_in_costs_what_a_hash_costs_and_matches_nothing() {
    for scheme in [Scheme::default(), Scheme::ARGON2ID, BCRYPT, ARGON2ID] {
        let stand_in = scheme.stand_in();
        assert_eq!(PasswordHash::parse(stand_in.as_str()).unwrap(), stand_in);
        assert!(!scheme.needs_rehash(&stand_in), "{scheme:?}");
    }
    for scheme in BOTH {
        let stand_in = scheme.stand_in();
        let real = hash(scheme, "correct horse");
        assert_eq!(parameters(&stand_in), parameters(&real));
        for password in ["", "\0", "password", "correct horse", &"x".repeat(2_000)] {
            assert!(!matches(&stand_in, password), "{password:?}");
        }
    }
}

#[test]
fn a_hash_is_replaced_when_kind_or_cost_differ() {
    let argon2id = |memory_kib, iterations, parallelism| Scheme::Argon2id {
        memory_kib,
        iterations,
        parallelism,
    };
    let plain = hash(BCRYPT, "correct horse");
    let wrapped = hash(BCRYPT, &"correct horse".repeat(8));
    let phc = hash(ARGON2ID, "correct horse");
    let of = |text: &str| PasswordHash::parse(text).unwrap();
    let body = &plain.as_str()[7..];
    let (salt, digest) = body.split_at(22);
    let table = [
        (BCRYPT, plain.clone(), false),
        (BCRYPT, wrapped.clone(), false),
        (BCRYPT, of(&format!("$2a$04${body}")), false),
        (BCRYPT, of(&format!("$2y$04${body}")), false),
        (
            BCRYPT,
            of(&format!("$bcrypt-sha256$2b,4${salt}${digest}")),
            true,
        ),
        (BCRYPT, of(&format!("$2b$05${body}")), true),
        (Scheme::Bcrypt { cost: 5 }, plain.clone(), true),
        (Scheme::Bcrypt { cost: 5 }, wrapped.clone(), true),
        (Scheme::Bcrypt { cost: 5 }, phc.clone(), true),
        // Out of bounds acts as the nearest bound, and must not rehash for ever.
        (Scheme::Bcrypt { cost: 1 }, plain.clone(), false),
        (ARGON2ID, plain, true),
        (ARGON2ID, wrapped, true),
        (ARGON2ID, phc.clone(), false),
        (argon2id(65, 1, 1), phc.clone(), true),
        (argon2id(64, 2, 1), phc.clone(), true),
        (argon2id(64, 1, 2), phc.clone(), true),
        (
            ARGON2ID,
            of(
                "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$vL9bSpT5vkxNOpz3QVnQMUMa0vLd9Vs4VXYCSQ3vGVA",
            ),
            true,
        ),
    ];
    for (scheme, hash, expected) in table {
        assert_eq!(
            scheme.needs_rehash(&hash),
            expected,
            "{scheme:?} {}",
            hash.as_str()
        );
    }
}

#[test]
fn a_right_password_can_be_rehashed_though_it_could_not_be_chosen() {
    for password in ["short", "password", "correct horse"] {
        let presented = PresentedPassword::new(password);
        let rehashed = ARGON2ID.rehash(&presented, SALT).unwrap();
        assert!(matches(&rehashed, password));
        assert!(!ARGON2ID.needs_rehash(&rehashed));
    }
    assert!(
        BCRYPT
            .rehash(&PresentedPassword::new(&"x".repeat(1_025)), SALT)
            .is_none()
    );
}

#[test]
fn a_pool_can_compute_bcrypt_itself() {
    let password = NewPassword::parse("correct horse").unwrap();
    let hashing = BCRYPT.hashing(&password, SALT);
    let Work::Bcrypt(work) = hashing.work() else {
        panic!("bcrypt was asked for");
    };
    let raw = bcrypt::bcrypt(work.cost(), work.salt(), work.key());
    let made = hashing.finish(Digest::new(raw[..23].to_vec()));
    assert_eq!(made, BCRYPT.hash(&password, SALT));

    let verification = made.verification(&PresentedPassword::new("correct horse"));
    assert!(verification.finish(&Digest::new(raw[..23].to_vec())));
    // The whole output of the primitive, or nothing, is not a digest of a bcrypt string.
    for digest in [raw.to_vec(), Vec::new()] {
        let verification = made.verification(&PresentedPassword::new("correct horse"));
        assert!(!verification.finish(&Digest::new(digest)));
    }
}

#[test]
fn settings_out_of_bounds_are_told() {
    for cost in [4, 12, 20] {
        assert_eq!(Scheme::Bcrypt { cost }.check(), Ok(()));
    }
    for cost in [0, 3, 21, u32::MAX] {
        assert_eq!(Scheme::Bcrypt { cost }.check(), Err(SchemeIssue::Cost));
    }
    let check = |memory_kib, iterations, parallelism| {
        Scheme::Argon2id {
            memory_kib,
            iterations,
            parallelism,
        }
        .check()
    };
    assert_eq!(Scheme::ARGON2ID.check(), Ok(()));
    assert_eq!(check(128, 1, 16), Ok(()));
    assert_eq!(check(1 << 20, 64, 16), Ok(()));
    for (m, t, p) in [
        (7, 1, 1),
        (127, 1, 16),
        ((1 << 20) + 1, 1, 1),
        (64, 0, 1),
        (64, 65, 1),
        (64, 1, 0),
        (256, 1, 17),
    ] {
        assert_eq!(check(m, t, p), Err(SchemeIssue::Argon2id), "{m} {t} {p}");
    }
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(
        format!("{:?}", PresentedPassword::new("correct horse")),
        "PresentedPassword"
    );
    assert_eq!(format!("{:?}", BCRYPT.stand_in()), "PasswordHash");
}

proptest! {
    #[test]
    fn equal_beginnings_are_different_passwords(beginning in "[a-zA-Z]{72}", one in ".{1,40}", other in ".{1,40}") {
        let (one, other) = (beginning.clone() + &one, beginning.clone() + &other);
        let stored = hash(BCRYPT, &one);
        prop_assert!(matches(&stored, &one));
        prop_assert!(!matches(&stored, &beginning));
        let same = PresentedPassword::new(&other);
        let equal = BCRYPT.rehash(&same, SALT).unwrap() == stored;
        prop_assert_eq!(stored.verify(&same).unwrap(), equal);
        prop_assert!(!equal || unicode_equal(&one, &other));
    }

    #[test]
    fn any_password_matches_its_own_hash_and_no_other(one in "\\PC{8,60}", other in any::<String>()) {
        for scheme in BOTH {
            let Ok(new) = NewPassword::parse(&one) else { continue };
            let stored = scheme.hash(&new, SALT);
            prop_assert!(matches(&stored, &one));
            prop_assert_eq!(matches(&stored, &other), unicode_equal(&one, &other));
        }
    }
}

fn unicode_equal(one: &str, other: &str) -> bool {
    use unicode_normalization::UnicodeNormalization;
    one.nfc().eq(other.nfc())
}

/// How often bcrypt goes through its key schedule for a hash.
fn rounds(hash: &PasswordHash) -> u64 {
    let cost = hash.as_str().split('$').nth(2).unwrap();
    1 << cost.parse::<u32>().unwrap()
}

#[test]
fn padding_makes_a_cheaper_hash_cost_what_a_new_one_does() {
    let password = NewPassword::parse("correct horse").unwrap();
    let configured = Scheme::Bcrypt { cost: 9 };
    for cost in 4..=9 {
        let stored = Scheme::Bcrypt { cost }.hash(&password, [1; 16]);
        let padding = configured.padding(&stored);
        let all: u64 = padding.iter().map(rounds).sum();
        assert_eq!(all + rounds(&stored), 1 << 9, "{cost}");
    }
    let costlier = Scheme::Bcrypt { cost: 10 }.hash(&password, [1; 16]);
    assert_eq!(configured.padding(&costlier).len(), 0);
    let other = Scheme::ARGON2ID.stand_in();
    let padding = configured.padding(&other);
    assert_eq!(padding.iter().map(rounds).collect::<Vec<_>>(), [1 << 9]);
}
