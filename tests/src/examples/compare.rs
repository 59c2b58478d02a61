//! Whether an answer is the one that the documentation shows.

use serde_json::{Map, Value};

/// Says what differs, if anything does.
pub(super) fn compare(shown: &str, actual: &str) -> Result<(), String> {
    let (shown_head, shown_body) = shown.split_once("\n\n").unwrap_or((shown, ""));
    let (actual_head, actual_body) = actual.split_once("\n\n").unwrap_or((actual, ""));
    let mut shown_lines = shown_head.lines();
    let code = |line: Option<&str>| {
        line.and_then(|line| line.split(' ').nth(1))
            .map(str::to_owned)
    };
    let (wanted, got) = (code(shown_lines.next()), code(actual_head.lines().next()));
    if wanted != got {
        return Err(format!("shown status {wanted:?}, got {got:?}"));
    }
    for header in shown_lines {
        let matches = |line: &str| match (header.split_once(": "), line.split_once(": ")) {
            (Some((name, value)), Some((n, v))) => name.eq_ignore_ascii_case(n) && fits(value, v),
            _ => false,
        };
        if !actual_head.lines().skip(1).any(matches) {
            return Err(format!("no header `{header}`"));
        }
    }
    match (
        serde_json::from_str(shown_body),
        serde_json::from_str(actual_body),
    ) {
        (Ok(shown), Ok(actual)) => same_json(&shown, &actual, "body"),
        _ if fits(shown_body.trim(), actual_body.trim()) => Ok(()),
        _ => Err("the body differs".into()),
    }
}

fn same_json(shown: &Value, actual: &Value, place: &str) -> Result<(), String> {
    match (shown, actual) {
        (Value::Object(shown), Value::Object(actual)) => same_object(shown, actual, place),
        (Value::Array(shown), Value::Array(actual)) => {
            let open = shown.last().is_some_and(|last| last == "…");
            let shown = if open {
                &shown[..shown.len() - 1]
            } else {
                shown
            };
            if actual.len() < shown.len() || (!open && actual.len() > shown.len()) {
                return Err(format!(
                    "{place}: shown {} items, got {}",
                    shown.len(),
                    actual.len()
                ));
            }
            shown
                .iter()
                .zip(actual)
                .enumerate()
                .try_for_each(|(i, (shown, actual))| {
                    same_json(shown, actual, &format!("{place}[{i}]"))
                })
        }
        (Value::String(shown), Value::String(actual)) if fits(shown, actual) => Ok(()),
        (Value::String(shown), Value::String(actual))
            if kind(shown).is_some() && kind(shown) == kind(actual) =>
        {
            Ok(())
        }
        _ if shown == actual => Ok(()),
        _ => Err(format!("{place}: shown {shown}, got {actual}")),
    }
}

fn same_object(
    shown: &Map<String, Value>,
    actual: &Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    let open = shown.contains_key("…");
    if let Some(extra) = actual
        .keys()
        .find(|name| !open && !shown.contains_key(*name))
    {
        return Err(format!("{place}: `{extra}` is not shown"));
    }
    for (name, value) in shown.iter().filter(|(name, _)| *name != "…") {
        let got = actual
            .get(name)
            .ok_or_else(|| format!("{place}: no `{name}`"))?;
        same_json(value, got, &format!("{place}.{name}"))?;
    }
    Ok(())
}

/// Whether a text is the shown one, where `…` stands for any text.
fn fits(shown: &str, actual: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|start| actual.strip_prefix(start)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(position) = rest.find(part) else {
            return false;
        };
        rest = &rest[position + part.len()..];
    }
    true
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Uuid,
    Time,
    AccessToken,
    RefreshToken,
}

fn kind(text: &str) -> Option<Kind> {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_hexdigit() { 'x' } else { c })
        .collect();
    if shape == "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" {
        Some(Kind::Uuid)
    } else if shape.starts_with("xxxx-xx-xxTxx:xx:xx") && shape.ends_with('Z') {
        Some(Kind::Time)
    } else if text.starts_with("eyJ") && text.split('.').count() == 3 {
        Some(Kind::AccessToken)
    } else if text.starts_with("cs_rt_") {
        Some(Kind::RefreshToken)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared() {
        let actual = "HTTP/1.1 200 OK\nx-a: 1, 2\n\n{\"id\":\"0199e0e5-8a0c-7d54-b0bd-6b4cb2a7a1a0\",\"n\":1}";
        for (shown, same) in [
            (
                "HTTP/1.1 200 OK\nX-A: 1, 2\n\n{\"n\":1,\"id\":\"00000000-0000-0000-0000-000000000000\"}",
                true,
            ),
            ("HTTP/1.1 200 OK\nX-A: …\n\n{\"n\":1,\"…\":\"…\"}", true),
            ("HTTP/1.1 201 OK\n\n{\"n\":1,\"…\":\"…\"}", false),
            ("HTTP/1.1 200 OK\nX-B: …\n\n{\"n\":1,\"…\":\"…\"}", false),
            ("HTTP/1.1 200 OK\nX-A: 1\n\n{\"n\":1,\"…\":\"…\"}", false),
            ("HTTP/1.1 200 OK\n\n{\"n\":2,\"…\":\"…\"}", false),
            ("HTTP/1.1 200 OK\n\n{\"n\":1}", false),
            ("HTTP/1.1 200 OK\n\n{\"n\":1,\"id\":\"x\"}", false),
            ("HTTP/1.1 200 OK\n\n{\"n\":1,\"id\":\"…a0\",\"z\":0}", false),
            ("HTTP/1.1 200 OK", false),
        ] {
            assert_eq!(compare(shown, actual).is_ok(), same, "{shown}");
        }
    }

    #[test]
    fn dots_stand_for_any_text() {
        for (shown, actual, fit) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a…", "ab", true),
            ("…b…d", "abcd", true),
            ("…b…d", "acd", false),
            ("…", "", true),
        ] {
            assert_eq!(fits(shown, actual), fit, "{shown} {actual}");
        }
    }
}
