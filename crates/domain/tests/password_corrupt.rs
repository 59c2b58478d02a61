//! Stored hashes that are damaged, foreign or hostile: an error or `false`, never a panic, never unbounded work.

use countersign_domain::password::{CorruptHash, Kind, PasswordHash, PresentedPassword};
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Cheap hashes of `correct!`, one of each spelling.
fn genuine() -> Vec<String> {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("data/passlib.json")).unwrap();
    let hashes: Vec<String> = vectors
        .iter()
        .filter(|vector| vector["password"] == "correct!")
        .map(|vector| vector["hash"].as_str().unwrap().to_owned())
        .filter(|hash| is_cheap(hash))
        .collect();
    assert!(hashes.len() >= 7, "{hashes:?}");
    hashes
}

/// Whether verifying it is quick enough to be done a thousand times.
fn is_cheap(hash: &str) -> bool {
    [
        "$04$",
        "$05$",
        "r=4$",
        "r=5$",
        "2b,4$",
        "2a,4$",
        "2b,5$",
        "m=64,t=1,p=1$",
    ]
    .iter()
    .any(|cost| hash.contains(cost))
}

fn verify(hash: &str) -> Result<bool, CorruptHash> {
    PasswordHash::parse(hash)?.verify(&PresentedPassword::new("correct!"))
}

#[test]
fn genuine_ones_are_read_and_written_back() {
    for hash in genuine() {
        assert_eq!(PasswordHash::parse(&hash).unwrap().as_str(), hash);
        assert_eq!(verify(&hash), Ok(true), "{hash}");
    }
}

#[test]
fn strange_strings_are_refused() {
    let salt = "abcdefghijklmnopqrstuu";
    let digest = "abcdefghijklmnopqrstuvwxyzabcde";
    assert!(PasswordHash::parse(&format!("$2b$04${salt}{digest}")).is_ok());
    let phc_tail = "c2FsdHNhbHRzYWx0c2FsdA$vL9bSpT5vkxNOpz3QVnQMUMa0vLd9Vs4VXYCSQ3vGVA";
    assert!(PasswordHash::parse(&format!("$argon2id$v=19$m=64,t=1,p=1${phc_tail}")).is_ok());

    let bcrypt = [
        "$2b$03$",
        "$2b$21$",
        "$2b$31$",
        "$2b$99$",
        "$2b$4$",
        "$2b$004$",
        "$2b$+4$",
        "$2b$ 4$",
        "$2b$-1$",
        "$2x$04$",
        "$2$04$",
        "$2c$04$",
        "2b$04$",
        "$$2b$04$",
        " $2b$04$",
        "$2b$04$$",
        "$2B$04$",
        "$2b$\u{664}$",
    ];
    let wrapped = [
        "v=2,t=2b,r=04",
        "v=2,t=2b,r=3",
        "v=2,t=2b,r=21",
        "v=2,t=2b,r=99999999999",
        "v=2,t=2b,r=",
        "v=2,t=2a,r=4",
        "v=3,t=2b,r=4",
        "v=1,t=2b,r=4",
        "v=2,r=4,t=2b",
        "2b,04",
        "2y,4",
        "2b,+4",
        "2b,4,",
        "2b",
        "",
    ];
    let phc = [
        "v=19$m=1048577,t=1,p=1",
        "v=19$m=4294967296,t=1,p=1",
        "v=19$m=64,t=65,p=1",
        "v=19$m=1024,t=1,p=17",
        "v=19$m=7,t=1,p=1",
        "v=19$m=15,t=1,p=2",
        "v=19$m=64,t=0,p=1",
        "v=19$m=64,t=1,p=0",
        "v=19$m=064,t=1,p=1",
        "v=19$m=+64,t=1,p=1",
        "v=19$t=1,m=64,p=1",
        "v=19$m=64,t=1",
        "v=19$m=64,t=1,p=1,keyid=AAAA",
        "v=16$m=64,t=1,p=1",
        "m=64,t=1,p=1",
        "v=19",
    ];
    let mut strings: Vec<String> = bcrypt
        .iter()
        .map(|head| format!("{head}{salt}{digest}"))
        .collect();
    strings.extend(
        wrapped
            .iter()
            .map(|parameters| format!("$bcrypt-sha256${parameters}${salt}${digest}")),
    );
    strings.extend(
        phc.iter()
            .map(|head| format!("$argon2id${head}${phc_tail}")),
    );
    strings.extend([
        String::new(),
        "$".repeat(60),
        "correct!".to_owned(),
        "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
        format!("$2b$04${salt}"),
        format!("$2b$04${salt}{digest}\n"),
        format!("$2b$04${salt}{digest}A"),
        format!("$2b$04${salt}{}", &digest[1..]),
        format!("$bcrypt-sha256$v=2,t=2b,r=4${salt}"),
        format!("$bcrypt-sha256$v=2,t=2b,r=4${salt}{digest}"),
        // Stray bits in the last character of salt or digest.
        format!("$2b$04${}v{digest}", &salt[..21]),
        format!("$2b$04${salt}{}f", &digest[..30]),
        // 60 bytes, with a character of several bytes across every place where text is cut.
        format!("$2b$04${}ü{digest}", &salt[..20]),
        format!("$2b$04${}ü{}", &salt[..21], &digest[1..]),
        format!("$2b$ü${salt}{digest}"),
        format!("$2ü{salt}{digest}"),
        format!("ü2b$04${salt}{digest}"),
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$vL9bSpT5vkxNOpz3QVnQMUMa0vLd9Vs4VXYCSQ3vGVA".to_owned(),
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$vL9b".to_owned(),
        "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$".to_owned(),
        format!(
            "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA${}",
            "A".repeat(400)
        ),
        format!("$argon2i$v=19$m=64,t=1,p=1${phc_tail}"),
        format!("$argon2d$v=19$m=64,t=1,p=1${phc_tail}"),
        "a".repeat(10_000_000),
    ]);
    for text in strings {
        assert_eq!(
            PasswordHash::parse(&text).err(),
            Some(CorruptHash),
            "{text:.100}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_text_is_refused(text in any::<String>(), head in select(vec!["", "$2b$", "$2b$04$", "$bcrypt-sha256$", "$argon2id$v=19$"])) {
        prop_assert_eq!(PasswordHash::parse(&(head.to_owned() + &text)).err(), Some(CorruptHash));
    }

    #[test]
    fn shapes_of_hashes_never_panic(text in "\\$(2[abxy]|bcrypt-sha256|argon2id)\\$(v=[0-9]{1,2}[,$])?[a-z0-9=,]{0,12}\\$[./A-Za-z0-9é$]{20,60}") {
        let _ = PasswordHash::parse(&text);
    }

    #[test]
    fn a_mutated_hash_matches_nothing(
        hash in select(genuine()),
        place in any::<Index>(),
        length in 0..4_usize,
        patch in prop_oneof![Just(String::new()), "[./A-Za-z0-9$,=]{1,3}", ".{1,3}"],
    ) {
        let start = place.index(hash.len());
        let end = (start + length).min(hash.len());
        let mutated = format!("{}{patch}{}", &hash[..start], &hash[end..]);
        // Another cost is another hash, and is only too slow to try here a thousand times.
        if let Ok(parsed) = PasswordHash::parse(&mutated) && is_cheap(&mutated) && mutated != hash {
            // The letter of the variant changes nothing about what plain bcrypt and version 1 compute.
            let same_work = matches!(parsed.kind(), Kind::Bcrypt | Kind::BcryptSha256V1)
                && mutated.replace("2a", "2b").replace("2y", "2b") == hash.replace("2a", "2b").replace("2y", "2b");
            prop_assert_eq!(verify(&mutated), Ok(same_work), "{} from {}", mutated, hash);
        }
    }
}
