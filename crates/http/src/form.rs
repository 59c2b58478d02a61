use percent_encoding::percent_decode_str;

use crate::problem::{MALFORMED_REQUEST, Problem};

/// Reads `application/x-www-form-urlencoded` text, of a body or a query (WHATWG URL, section 5.1),
/// strictly: what is not UTF-8 is refused instead of being replaced, and a parameter that occurs twice is refused
/// (RFC 6749, section 3.2).
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if pairs.iter().any(|(other, _)| *other == name) {
            return Err(refuse("A parameter occurs more than once."));
        }
        if pairs.len() == MAX_PAIRS {
            return Err(refuse("There are too many parameters."));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// Keeps the look for repetitions short.
const MAX_PAIRS: usize = 64;

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(refuse("A parameter is not UTF-8.")),
    }
}

fn refuse(detail: &str) -> Problem {
    Problem::from(&MALFORMED_REQUEST).detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_browsers_send() {
        let pairs = parse("username=a%40b.org&password=x+y%2B%C3%A9&empty&=none&&").unwrap();
        let expected = [
            ("username", "a@b.org"),
            ("password", "x y+é"),
            ("empty", ""),
            ("", "none"),
        ];
        let expected = expected.map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pairs, expected);
    }

    #[test]
    fn refuses_repetition_and_bytes_that_are_not_text() {
        let many: String = (0..65).map(|i| format!("p{i}&")).collect();
        for text in ["a=1&a=2", "a=1&%61=2", "a=%ff", "a=%C3", "%ff=a", &many] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
