//! A script of statements, cut into words.

/// One statement of a script.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    /// As it is written, comments within included.
    pub(crate) text: &'a str,
    /// Names and numbers, quoted texts as one, and everything else sign by sign; no comments, no white space.
    pub(crate) words: Vec<&'a str>,
}

/// The statements of a script.
pub(crate) fn statements(script: &str) -> Vec<Statement<'_>> {
    let (mut statements, mut words) = (Vec::new(), Vec::new());
    let (mut place, mut begin, mut end) = (0, 0, 0);
    while let Some((rest, first)) = script
        .get(place..)
        .and_then(|rest| Some((rest, rest.chars().next()?)))
    {
        let word = rest.get(..length(rest, first)).unwrap_or(rest);
        match first {
            _ if first.is_whitespace() || word.starts_with("--") || word.starts_with("/*") => {}
            ';' => {
                let text = script.get(begin..end).unwrap_or_default();
                let words = std::mem::take(&mut words);
                statements.push(Statement { text, words });
            }
            _ => {
                if words.is_empty() {
                    begin = place;
                }
                words.push(word);
                end = place + word.len();
            }
        }
        place += word.len();
    }
    let text = script.get(begin..end).unwrap_or_default();
    statements.push(Statement { text, words });
    statements.retain(|statement| !statement.words.is_empty());
    statements
}

/// Whether two scripts do the same: only comments and white space may differ.
pub(crate) fn do_the_same(one: &str, other: &str) -> bool {
    let (one, other) = (statements(one), statements(other));
    one.iter()
        .map(|statement| &statement.words)
        .eq(other.iter().map(|statement| &statement.words))
}

/// How long the word, comment or space is that `text` begins with.
fn length(text: &str, first: char) -> usize {
    let while_all = |test: fn(char) -> bool| text.find(|c| !test(c)).unwrap_or(text.len());
    match first {
        _ if first.is_whitespace() => while_all(char::is_whitespace),
        _ if is_of_a_word(first) => while_all(is_of_a_word),
        _ if text.starts_with("--") => text.find('\n').unwrap_or(text.len()),
        _ if text.starts_with("/*") => text.find("*/").map_or(text.len(), |end| end + 2),
        '\'' | '"' => quoted(text, first),
        _ => first.len_utf8(),
    }
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A quote within is written twice.
fn quoted(text: &str, quote: char) -> usize {
    let mut end = 1;
    while let Some(found) = text.get(end..).and_then(|rest| rest.find(quote)) {
        end += found + 1;
        if !text.get(end..).is_some_and(|rest| rest.starts_with(quote)) {
            return end;
        }
        end += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_cut_into_words() {
        let script = "-- a; comment\nCREATE TABLE \"a b\" (x TEXT /* ; */ DEFAULT 'it''s; --');\n\n;\nDROP TABLE b -- end";
        let texts: Vec<_> = statements(script).iter().map(|one| one.text).collect();
        assert!(
            texts[0].starts_with("CREATE") && texts[0].ends_with("--')"),
            "{texts:?}"
        );
        assert_eq!(texts[1..], ["DROP TABLE b"]);
        let words = |script| -> Vec<_> {
            statements(script)
                .into_iter()
                .map(|one| one.words)
                .collect()
        };
        let first = [
            "CREATE",
            "TABLE",
            "\"a b\"",
            "(",
            "x",
            "TEXT",
            "DEFAULT",
            "'it''s; --'",
            ")",
        ];
        assert_eq!(words(script), [first.to_vec(), vec!["DROP", "TABLE", "b"]]);
        assert!(words(" -- nothing").is_empty());
        assert_eq!(words("a 'open"), [["a", "'open"]]);
    }

    #[test]
    fn only_comments_and_space_may_differ() {
        let same = do_the_same;
        assert!(same(
            "-- locks: x\nCREATE TABLE a (b INT);",
            "CREATE  TABLE a(b INT)"
        ));
        assert!(!same(
            "INSERT INTO a VALUES ('b')",
            "INSERT INTO a VALUES ('B')"
        ));
        assert!(!same("DROP TABLE a", "DROP TABLE a; DROP TABLE b"));
        assert!(!same("DROP TABLE ab", "DROP TABLE a b"));
    }
}
