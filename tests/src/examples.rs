//! The examples of the documentation, run against a server.
//!
//! An example is a fenced `sh` block that calls `curl`, followed, with at most text between, by a fenced `http` block
//! with the answer:
//!
//! ````text
//! ```sh
//! curl http://127.0.0.1:8080/auth/me -H "Authorization: Bearer $ACCESS_TOKEN"
//! ```
//! ```http
//! HTTP/1.1 200 OK
//! Cache-Control: no-store
//!
//! {"id": "0199e0e5-8a0c-7d54-b0bd-6b4cb2a7a1a0", "email": "ada@example.com"}
//! ```
//! ````
//!
//! The examples of a file run in their order on one new server, in `bash`; a `sh` block without such an answer is not
//! run. `http://127.0.0.1:8080` (or `localhost`) stands for the server. After each answer with tokens, `ACCESS_TOKEN`
//! and `REFRESH_TOKEN` are set from it; after a list whose items have an `id`, `ID` is that of the last item.
//!
//! The answer must have the status code shown, each header shown, and the body shown. In a header or a JSON string
//! `…` stands for any text. A UUID, a time, an access token or a refresh token stands for any of its kind. An object
//! must have the members shown and no others, but `"…": "…"` as its last member stands for any more; an array has the
//! items shown, and `"…"` as its last item stands for any more. A body that is not JSON is compared as text.

use std::process::Command;

use serde_json::{Map, Value};

/// One example.
#[derive(Debug, PartialEq, Eq)]
pub struct Example {
    /// Line of the file at which its command begins.
    pub line: usize,
    pub command: String,
    pub answer: String,
}

/// Finds the examples of a Markdown text.
pub fn find(markdown: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut command: Option<(usize, String)> = None;
    let mut lines = markdown.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let block: Vec<&str> = lines
            .by_ref()
            .map(|(_, line)| line.get(indent..).unwrap_or_default())
            .take_while(|line| !line.starts_with("```"))
            .collect();
        let block = block.join("\n");
        match (language, command.take()) {
            ("sh", _) if block.contains("curl ") => command = Some((number + 2, block)),
            ("http", Some((line, command))) => examples.push(Example {
                line,
                command,
                answer: block,
            }),
            _ => {}
        }
    }
    examples
}

/// Runs examples one after the other against the server at `base`. Returns what differs, by line.
pub fn run(examples: &[Example], base: &str) -> Vec<String> {
    let mut variables: Vec<(&str, String)> = Vec::new();
    let mut differences = Vec::new();
    for example in examples {
        let command = example
            .command
            .replace("http://127.0.0.1:8080", base)
            .replace("http://localhost:8080", base);
        let output = Command::new("bash")
            .args([
                "-euo",
                "pipefail",
                "-c",
                &format!(
                    "curl() {{ command curl --silent --show-error --include \"$@\"; }}\n{command}"
                ),
            ])
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .output()
            .expect("run bash");
        let answer = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            differences.push(format!("line {}: {} {errors}", example.line, output.status));
            continue;
        }
        remember(&answer, &mut variables);
        if let Err(difference) = compare(&example.answer, &answer) {
            differences.push(format!(
                "line {}: {difference}\nthe answer was:\n{answer}",
                example.line
            ));
        }
    }
    differences
}

/// Takes tokens and the last id out of an answer.
fn remember(answer: &str, variables: &mut Vec<(&'static str, String)>) {
    let Some((_, body)) = answer.split_once("\n\n") else {
        return;
    };
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return;
    };
    let last_id = body["items"]
        .as_array()
        .and_then(|items| items.last())
        .and_then(|item| item["id"].as_str());
    let found = [
        ("ACCESS_TOKEN", body["access_token"].as_str()),
        ("REFRESH_TOKEN", body["refresh_token"].as_str()),
        ("ID", last_id),
    ];
    for (name, value) in found {
        if let Some(value) = value {
            variables.retain(|(known, _)| *known != name);
            variables.push((name, value.to_owned()));
        }
    }
}

fn compare(shown: &str, actual: &str) -> Result<(), String> {
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
    fn an_example_is_a_command_and_its_answer() {
        let text = "```sh\ncargo run\n```\n1. text\n   ```sh\n   curl a\n   ```\n   text\n   ```http\n   HTTP/1.1 200 OK\n\n   {}\n   ```\n";
        let expected = Example {
            line: 6,
            command: "curl a".into(),
            answer: "HTTP/1.1 200 OK\n\n{}".into(),
        };
        assert_eq!(find(text), [expected]);
        assert_eq!(
            find("```sh\ncurl a\n```\n```json\n{}\n```\n```http\nHTTP/1.1 200 OK\n```\n"),
            []
        );
    }

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
