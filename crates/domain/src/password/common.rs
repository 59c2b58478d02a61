//! The list is searched as the text that it is: nothing to build at start, nothing to allocate, and a reader of the
//! file sees exactly what is refused.

use std::cmp::Ordering;

/// Lower-case printable ASCII, at least 8 characters a line, in byte order; see `data/README.md`.
const LIST: &str = include_str!("../../data/common-passwords.txt");

/// Whether `candidate` (in NFC) is on the list, in any mix of upper and lower case.
pub(super) fn contains(candidate: &str) -> bool {
    // In NFC no other character lower-cases to ASCII (the Kelvin sign has become `K`), so bytes decide.
    let key = || candidate.bytes().map(|byte| byte.to_ascii_lowercase());
    let mut rest = LIST.as_bytes();
    while let Some((before, line, after)) = middle_line(rest) {
        match line.iter().copied().cmp(key()) {
            Ordering::Equal => return true,
            Ordering::Less => rest = after,
            Ordering::Greater => rest = before,
        }
    }
    false
}

/// The line over the middle byte, and the whole lines before and after it; `None` if there is none left.
fn middle_line(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (left, right) = text.split_at_checked(text.len() / 2)?;
    let length = right.iter().position(|byte| *byte == b'\n')?;
    let start = left
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let (before, _) = text.split_at_checked(start)?;
    let line = text.get(start..left.len() + length)?;
    let after = text.get(left.len() + length + 1..)?;
    Some((before, line, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_in_any_case_and_no_neighbour_is() {
        for line in LIST.lines() {
            assert!(contains(line), "{line}");
            assert!(contains(&line.to_ascii_uppercase()), "{line}");
        }
        let known: std::collections::HashSet<_> = LIST.lines().collect();
        for line in LIST.lines() {
            for near in [
                format!("{line} "),
                format!("{line}~"),
                format!(" {line}"),
                line[1..].to_owned(),
            ] {
                assert_eq!(contains(&near), known.contains(near.as_str()), "{near}");
            }
        }
    }

    #[test]
    fn the_list_is_what_the_search_needs() {
        assert!(LIST.lines().count() >= 10_000);
        assert!(LIST.ends_with('\n'));
        assert!(LIST.lines().is_sorted_by(|a, b| a < b));
        for line in LIST.lines() {
            assert!(line.len() >= super::super::MIN_CHARACTERS, "{line}");
            assert!(
                line.bytes()
                    .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()),
                "{line}"
            );
        }
    }

    #[test]
    fn no_other_character_lower_cases_to_ascii_after_nfc() {
        use unicode_normalization::UnicodeNormalization;
        for c in (0x80..=0x10_FFFF).filter_map(char::from_u32) {
            let composed: String = c.nfc().collect();
            assert!(
                composed.is_ascii() || !composed.to_lowercase().is_ascii(),
                "{c:?}"
            );
        }
    }

    #[test]
    fn odd_candidates() {
        for candidate in [
            "",
            "\n",
            "password\n",
            "password\n12345678",
            "\0",
            "ﬁ",
            "zzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert!(!contains(candidate), "{candidate:?}");
        }
    }
}
