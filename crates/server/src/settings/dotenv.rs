//! A strict reader of `.env` files.
//!
//! Tools disagree about this format. What they read differently is refused here, so that a value never means one thing
//! to Countersign and another to Docker Compose or a shell:
//!
//! - `NAME=value`, with nothing around the `=`; `export` before it is allowed; lines that begin with `#` are comments.
//! - A bare value goes to the end of the line or to a `#` with white space before it, and holds no other white space or quotes.
//! - `'…'` is taken as it stands; `"…"` knows `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. Both may span lines.
//! - Nothing is ever substituted: `$` is a dollar sign.

use zeroize::Zeroizing;

/// One definition, or one line that is none.
pub(crate) struct Entry {
    /// The name, where one could be read.
    pub(crate) name: Option<String>,
    /// The line it begins on, from 1.
    pub(crate) line: usize,
    /// The value, or what is wrong. The text never repeats the value, which may be a secret.
    pub(crate) value: Result<Zeroizing<String>, &'static str>,
}

/// Reads all definitions, in order.
pub(crate) fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (entry, after) = next(rest, line);
        entries.extend(entry);
        let consumed = rest.len() - after.len();
        line += rest[..consumed].matches('\n').count();
        rest = after;
    }
    entries
}

/// Reads one line, or more where a quoted value goes on; also gives what follows.
fn next(text: &str, line: usize) -> (Option<Entry>, &str) {
    let (this, after) = text.split_once('\n').unwrap_or((text, ""));
    let trimmed = this.trim();
    if trimmed.is_empty() || trimmed.starts_with('#') {
        return (None, after);
    }
    let start = text.trim_start();
    let start = match start.strip_prefix("export") {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
        _ => start,
    };
    let name_len = start
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(start.len());
    let (name, rest) = start.split_at(name_len);
    let entry = |value| Entry {
        name: Some(name.to_owned()),
        line,
        value,
    };
    let Some(rest) = rest.strip_prefix('=').filter(|_| !name.is_empty()) else {
        let spaced = !name.is_empty() && rest.trim_start_matches([' ', '\t']).starts_with('=');
        let name = spaced.then(|| name.to_owned());
        let what = if spaced {
            "has white space before the `=`"
        } else {
            "is not of the form `NAME=value`"
        };
        return (
            Some(Entry {
                name,
                line,
                value: Err(what),
            }),
            after,
        );
    };
    match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => match quoted(&rest[1..], quote) {
            Ok((value, after)) => (Some(entry(Ok(value))), after),
            Err(what) => (Some(entry(Err(what))), after),
        },
        _ => {
            let rest = rest.split_once('\n').map_or(rest, |(rest, _)| rest);
            (Some(entry(bare(rest))), after)
        }
    }
}

fn bare(rest: &str) -> Result<Zeroizing<String>, &'static str> {
    if rest.starts_with([' ', '\t'])
        && !rest.trim().is_empty()
        && !rest.trim_start().starts_with('#')
    {
        return Err("has white space after the `=`");
    }
    let comment = rest
        .match_indices('#')
        .find(|(at, _)| rest[..*at].ends_with([' ', '\t']));
    let value = comment.map_or(rest, |(at, _)| &rest[..at]).trim();
    if value.contains(char::is_whitespace) {
        return Err("has white space in its value, which must then be quoted");
    }
    if value.contains(['"', '\'']) {
        return Err("has a quotation mark inside its value, which must then be quoted as a whole");
    }
    Ok(Zeroizing::new(value.to_owned()))
}

/// Reads to the closing quote; `text` begins after the opening one.
fn quoted(text: &str, quote: char) -> Result<(Zeroizing<String>, &str), &'static str> {
    let mut value = Zeroizing::new(String::new());
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let (tail, after) = text[at + 1..]
                .split_once('\n')
                .unwrap_or((&text[at + 1..], ""));
            let tail = tail.trim_end();
            let comment = tail.starts_with([' ', '\t']) && tail.trim_start().starts_with('#');
            if !tail.is_empty() && !comment {
                return Err("has text after the closing quotation mark");
            }
            return Ok((value, after));
        }
        if c == '\\' && quote == '"' {
            value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 'r')) => '\r',
                Some((_, 't')) => '\t',
                Some((_, c @ ('"' | '\\' | '$'))) => c,
                _ => return Err("has an unknown escape after a backslash; single quotes take a value as it stands"),
            });
        } else {
            value.push(c);
        }
    }
    Err("has no closing quotation mark")
}

#[cfg(test)]
mod tests {
    use super::parse;

    /// The only definition of `text`: its value, or what is wrong with it.
    fn one(text: &str) -> Result<String, &'static str> {
        let mut entries = parse(text);
        assert_eq!(entries.len(), 1, "{text:?}");
        entries.remove(0).value.map(|value| value.to_string())
    }

    #[test]
    fn values_are_read() {
        for (text, value) in [
            ("A=b", "b"),
            ("A=", ""),
            ("A= # nothing", ""),
            ("export A=b", "b"),
            ("  A=b  ", "b"),
            ("A=b\r\n", "b"),
            ("\u{feff}A=b", "b"),
            ("A=b#c", "b#c"),
            ("A=b # c", "b"),
            ("A=b=c==", "b=c=="),
            ("A=$B", "$B"),
            ("A='b # $c \\n'", "b # $c \\n"),
            (
                "A=\"b \\\"c\\\" \\n\\t\\r\\$ \\\\\" # d",
                "b \"c\" \n\t\r$ \\",
            ),
            ("A='b\nc' ", "b\nc"),
            ("A=\"ä\"", "ä"),
        ] {
            assert_eq!(one(text).as_deref(), Ok(value), "{text:?}");
        }
    }

    #[test]
    fn what_tools_read_differently_is_refused() {
        for (text, what) in [
            ("A b", "NAME=value"),
            ("A", "NAME=value"),
            ("=b", "NAME=value"),
            ("A =b", "before the `=`"),
            ("A= b", "after the `=`"),
            ("A=b c", "in its value"),
            ("A=b\"c\"", "inside its value"),
            ("A=\"b", "no closing"),
            ("A='b' c", "after the closing"),
            ("A='b'#c", "after the closing"),
            ("A=\"b\\x\"", "unknown escape"),
        ] {
            let error = one(text).expect_err(text);
            assert!(error.contains(what), "{text:?}: {error}");
        }
    }

    #[test]
    fn lines_are_counted_and_a_bad_line_hides_no_other() {
        let entries = parse("# one\n\nA='x\ny'\nB c\nC=\"open\nD=d\n");
        let found: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_deref().unwrap_or("-"), e.line, e.value.is_ok()))
            .collect();
        assert_eq!(
            found,
            [
                ("A", 3, true),
                ("-", 5, false),
                ("C", 6, false),
                ("D", 7, true)
            ]
        );
    }
}
