//! Which texts are addresses, and which addresses are one account.

use countersign_domain::email::{Email, EmailIssue};
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

fn key(text: &str) -> String {
    Email::parse(text)
        .unwrap_or_else(|issue| panic!("{text:?}: {issue}"))
        .key()
        .as_str()
        .to_owned()
}

#[test]
fn accepted_addresses_and_their_keys() {
    let long_local = "l".repeat(64);
    let long_domain = format!(
        "{}.{}.{}.org",
        "a".repeat(63),
        "b".repeat(63),
        "c".repeat(57)
    );
    let longest = format!("{long_local}@{long_domain}");
    assert_eq!(longest.len(), 254);
    let table = [
        ("a@x.org", "a@x.org"),
        ("A@x.org", "a@x.org"),
        (" a@x.org ", "a@x.org"),
        ("\t\r\na@X.ORG\n", "a@x.org"),
        (
            "First.Last+tag@Sub.Example.Co.UK",
            "first.last+tag@sub.example.co.uk",
        ),
        (
            "o'hara=x/y!#$%&*?^_`{|}~-@x.org",
            "o'hara=x/y!#$%&*?^_`{|}~-@x.org",
        ),
        ("1@1.fr", "1@1.fr"),
        // Composed and decomposed, and capitals beyond ASCII.
        ("Jose\u{301}@x.org", "josé@x.org"),
        ("JOSÉ@x.org", "josé@x.org"),
        ("ΟΔΟΣ@x.org", "οδος@x.org"),
        ("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v"),
        // Domains: every spelling that names the same host in the DNS.
        ("a@MÜNCHEN.de", "a@xn--mnchen-3ya.de"),
        ("a@mu\u{308}nchen.de", "a@xn--mnchen-3ya.de"),
        ("a@XN--MNCHEN-3YA.de", "a@xn--mnchen-3ya.de"),
        ("a@ｘ。org", "a@x.org"),
        // Not the transitional mapping, which would hand ß domains to ss ones.
        ("a@straße.de", "a@xn--strae-oqa.de"),
        ("a@a--b.org", "a@a--b.org"),
        (&longest, &longest),
    ];
    for (text, expected) in table {
        assert_eq!(key(text), expected, "{text:?}");
    }
}

#[test]
fn the_typed_form_keeps_what_was_typed() {
    let email = Email::parse("  Jose\u{301}.B@MÜNCHEN.de\n").unwrap();
    assert_eq!(email.as_typed(), "José.B@MÜNCHEN.de");
    assert_eq!(format!("{email:?} {:?}", email.key()), "Email EmailKey");
}

#[test]
fn look_alikes_are_other_accounts() {
    for (one, other) in [
        ("mıke@x.org", "mike@x.org"),
        ("ﬁ@x.org", "fi@x.org"),
        ("ſam@x.org", "sam@x.org"),
        ("аdmin@x.org", "admin@x.org"),
        ("ａ@x.org", "a@x.org"),
        ("ß@x.org", "ss@x.org"),
        ("a@straße.de", "a@strasse.de"),
        ("a@xn--80ak6aa92e.com", "a@apple.com"),
        ("a.b@x.org", "ab@x.org"),
        ("a+b@x.org", "a@x.org"),
    ] {
        assert_ne!(key(one), key(other));
    }
    // The capital dotless i lower-cases to an i and a dot; whatever becomes of it, it is not `mike`.
    assert!(Email::parse("mİke@x.org").map_or(true, |email| email.key().as_str() != "mike@x.org"));
}

#[test]
fn no_other_letter_has_the_key_of_an_ascii_one() {
    for c in (0x80..=0x10_FFFF).filter_map(char::from_u32) {
        // What is canonically the same character (the Kelvin sign is K) is also typed and mailed as that.
        let composed: String = c.nfc().collect();
        if let Ok(email) = Email::parse(&format!("{c}@x.org")) {
            assert_eq!(
                email.key().as_str().is_ascii(),
                composed.is_ascii(),
                "{c:?}"
            );
            assert_eq!(email.as_typed().is_ascii(), composed.is_ascii(), "{c:?}");
        }
    }
}

#[test]
fn refused_texts() {
    use EmailIssue::{Domain, Syntax, TooLong};
    let table = [
        ("", Syntax),
        (" ", Syntax),
        ("@", Domain),
        ("a", Syntax),
        ("a@", Domain),
        ("@x.org", Syntax),
        ("a@x", Domain),
        ("a@localhost", Domain),
        ("a@.org", Domain),
        ("a@x.", Domain),
        ("a@x.org.", Domain),
        ("a@x..org", Domain),
        ("a@-x.org", Domain),
        ("a@x-.org", Domain),
        ("a@x_y.org", Domain),
        ("a@x.org:25", Domain),
        ("a@127.0.0.1", Domain),
        ("a@[127.0.0.1]", Domain),
        ("a@[IPv6:::1]", Domain),
        ("a@xn--.org", Domain),
        ("a@xn--0.org", Domain),
        ("a@x\u{200b}y..org", Domain),
        ("a@%78.org", Domain),
        ("a@x.org@y.org", Syntax),
        ("a@@x.org", Syntax),
        ("victim@x.org,attacker@y.org", Syntax),
        ("victim@x,attacker@y", Syntax),
        ("victim@x.org;attacker@y.org", Syntax),
        ("victim@x.org attacker@y.org", Syntax),
        ("victim@x.org\u{a0}", Syntax),
        ("victim@x.org\r\nBcc: attacker@y.org", Syntax),
        ("vic\0tim@x.org", Syntax),
        ("victim@x.org\0", Syntax),
        ("victim@x.org\u{85}y", Syntax),
        ("victim\u{200b}@x.org", Syntax),
        ("victim\u{202e}@x.org", Syntax),
        ("victim＠x.org", Syntax),
        ("victim＠y.org@x.org", Syntax),
        ("victim﹫x.org", Syntax),
        ("victim@x.org＠y.org", Domain),
        ("\"a b\"@x.org", Syntax),
        ("\"a\"@x.org", Syntax),
        ("Name <a@x.org>", Syntax),
        ("<a@x.org>", Syntax),
        ("a(comment)@x.org", Syntax),
        ("mailto:a@x.org", Syntax),
        (".a@x.org", Syntax),
        ("a.@x.org", Syntax),
        ("a..b@x.org", Syntax),
        ("a\\@x.org", Syntax),
    ];
    for (text, expected) in table {
        assert_eq!(Email::parse(text).err(), Some(expected), "{text:?}");
    }
    let label = "a".repeat(63);
    for (text, expected) in [
        (format!("{}@x.org", "l".repeat(65)), Syntax),
        (format!("a@{}.org", "a".repeat(64)), Domain),
        (
            format!("{}@{label}.{label}.{}.org", "l".repeat(64), "c".repeat(58)),
            TooLong,
        ),
        // Within 254 bytes as typed, beyond as key.
        (
            format!("{}@{}.org", "l".repeat(64), ["üäöüäö"; 14].join(".")),
            TooLong,
        ),
        ("a".repeat(10_000_000), TooLong),
        ("@".repeat(10_000_000), TooLong),
    ] {
        assert_eq!(Email::parse(&text).err(), Some(expected), "{text:.100}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>(), local in "[a-zA-Z]{1,5}") {
        let _ = Email::parse(&text);
        let _ = Email::parse(&format!("{local}@{text}.org"));
        let _ = Email::parse(&format!("{text}@x.org"));
    }

    #[test]
    fn an_accepted_address_is_one_address(local in "\\PC{1,8}", domain in "[\\w.-]{1,20}") {
        if let Ok(email) = Email::parse(&format!("{local}@{domain}.org")) {
            let key = email.key().as_str();
            prop_assert_eq!(key.matches('@').count(), 1);
            prop_assert!(key.len() <= 254 && email.as_typed().len() <= 254);
            prop_assert!(!key.chars().any(|c| c.is_control() || c.is_whitespace() || c == ','));
            // The typed form is what the next sign-in sends, and must lead to the same account; so must the key.
            let typed = Email::parse(email.as_typed());
            prop_assert_eq!(typed.as_ref().map(|email| email.key()), Ok(email.key()));
            if let Ok(again) = Email::parse(key) {
                prop_assert_eq!(again.key(), email.key());
            }
        }
    }

    #[test]
    fn case_and_white_space_make_no_other_account(local in "[a-zA-Z0-9+_-]{1,20}", domain in "[a-zA-Z]{1,20}\\.[a-zA-Z]{2,5}") {
        let text = format!("{local}@{domain}");
        let expected = text.to_ascii_lowercase();
        prop_assert_eq!(key(&text), expected.as_str());
        prop_assert_eq!(key(&text.to_ascii_uppercase()), expected.as_str());
        prop_assert_eq!(key(&format!("\n {text}\t ")), expected.as_str());
    }
}
