//! "Did you mean": the known name nearest to an unknown one.

use super::table;

/// The settings' prefix, which says nothing about which one was meant.
const PREFIX: &str = "COUNTERSIGN_";

/// The setting that `unknown` was probably meant to be, in upper case.
pub(crate) fn nearest(unknown: &str) -> Option<&'static str> {
    let unknown = unknown.to_ascii_uppercase();
    let stem = unknown.strip_prefix(PREFIX).unwrap_or(&unknown);
    match stem {
        "PORT" | "HOST" | "BIND" | "LISTEN" | "ADDRESS" => return Some("COUNTERSIGN_ADDR"),
        "LOG_LEVEL" => return Some("COUNTERSIGN_LOG"),
        _ => {}
    }
    // Names this long are no typing mistake, and the distance costs the product of the lengths.
    if stem.len() > 64 {
        return None;
    }
    let allowed = (stem.len() / 3).max(1);
    table::ALL
        .iter()
        .map(|setting| setting.name)
        .map(|name| {
            (
                distance(stem, name.strip_prefix(PREFIX).unwrap_or(name)),
                name,
            )
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= allowed)
        .map(|(_, name)| name)
}

/// Edits from one to the other: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("AB", "BA", 1),
            ("ADDR", "ADR", 1),
            ("", "ABC", 3),
            ("KITTEN", "SITTING", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn suggestions() {
        for (unknown, expected) in [
            ("COUNTERSIGN_ADRR", Some("COUNTERSIGN_ADDR")),
            ("COUNTERSIGN_PORT", Some("COUNTERSIGN_ADDR")),
            ("COUNTERSIGN_DATABASE_URL", Some("DATABASE_URL")),
            ("issuer", Some("COUNTERSIGN_ISSUER")),
            ("bcrypt_round", Some("BCRYPT_ROUNDS")),
            ("BCRYPT_ROUNDS", Some("BCRYPT_ROUNDS")),
            ("redis_ulr", Some("REDIS_URL")),
            ("COUNTERSIGN_FAVOURITE_COLOUR", None),
        ] {
            assert_eq!(nearest(unknown), expected, "{unknown}");
        }
        assert_eq!(nearest(&"A".repeat(1_000_000)), None);
    }
}
