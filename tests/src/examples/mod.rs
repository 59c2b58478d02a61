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

mod compare;

use std::process::Command;

use serde_json::Value;

use compare::compare;

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
}
