//! Reads `countersign.toml`: flat, the settings' names in lower case.

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

/// One key of the file.
pub(crate) struct Entry {
    /// The key as written, or nothing where the line is not TOML.
    pub(crate) key: Option<String>,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// The value as the environment would spell it, or what is wrong. The text never repeats the value.
    pub(crate) value: Result<Zeroizing<String>, String>,
}

/// Reads all keys, in the order of the file.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let line_of = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let mut entries: Vec<Entry> = errors
        .iter()
        .map(|error| Entry {
            key: None,
            line: line_of(error.span().map_or(0, |span| span.start)),
            // Only the message: the error's own formatting quotes the line, and with it perhaps a secret.
            value: Err(format!(
                "is not valid TOML ({})",
                error.message().replace('\n', ", ")
            )),
        })
        .collect();
    if entries.is_empty() {
        entries.extend(table.get_ref().iter().map(|(key, value)| Entry {
            key: Some(key.get_ref().to_string()),
            line: line_of(key.span().start),
            value: spelled(value.get_ref()),
        }));
    }
    entries.sort_by_key(|entry| entry.line);
    entries
}

fn spelled(value: &DeValue<'_>) -> Result<Zeroizing<String>, String> {
    match value {
        DeValue::String(text) => Ok(Zeroizing::new(text.to_string())),
        DeValue::Integer(number) if number.radix() == 10 => {
            Ok(Zeroizing::new(number.as_str().replace('_', "")))
        }
        DeValue::Array(items) => {
            let texts: Option<Vec<&str>> =
                items.iter().map(|item| item.get_ref().as_str()).collect();
            match texts {
                // A comma inside an item would silently become two items.
                Some(texts) if texts.iter().all(|text| !text.contains(',')) => {
                    Ok(Zeroizing::new(texts.join(",")))
                }
                _ => Err("must be a list of texts without commas".into()),
            }
        }
        other => Err(format!(
            "must be a text, a number or a list of texts, not a TOML {}",
            other.type_str()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn texts_numbers_and_lists_are_read_with_their_lines() {
        let entries = parse("# x\na = \"b\"\nc = 1_000\n\nd = [\"e\", \"f\"]\n");
        let found: Vec<_> = entries
            .iter()
            .map(|e| {
                (
                    e.key.clone().unwrap(),
                    e.line,
                    e.value.clone().unwrap().to_string(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("a".into(), 2, "b".into()),
                ("c".into(), 3, "1000".into()),
                ("d".into(), 5, "e,f".into())
            ] as [(String, usize, String); 3]
        );
    }

    #[test]
    fn other_values_are_refused() {
        for text in [
            "a = true",
            "a = 1.5",
            "a = 0x10",
            "a = 2020-01-01",
            "[a]\nb = 1",
            "a = [1]",
            "a = [\"b,c\"]",
        ] {
            let entries = parse(text);
            assert_eq!((entries.len(), entries[0].line), (1, 1), "{text}");
            assert!(entries[0].value.is_err(), "{text}");
        }
    }

    #[test]
    fn a_line_that_is_no_toml_is_named_without_its_text() {
        let entries = parse("bcrypt_rounds = 12\njwt_secret = hunter2hunter2\n");
        assert_eq!((entries.len(), entries[0].line), (1, 2));
        let what = entries[0].value.clone().unwrap_err();
        assert!(
            what.contains("not valid TOML") && !what.contains("hunter"),
            "{what}"
        );
    }

    #[test]
    fn a_key_set_twice_is_refused() {
        let entries = parse("a = 1\na = 2\n");
        assert!(entries.iter().any(|e| e.line == 2 && e.value.is_err()));
    }
}
