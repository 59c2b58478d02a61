//! The examples of the documentation, run as they stand; how they are written is described at `examples`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use countersign_tests::{Backend, Server, examples};

fn read(file: &str) -> Vec<examples::Example> {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", file].iter().collect();
    examples::find(&std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}")))
}

async fn check(file: &str) {
    let examples = read(file);
    assert!(
        !examples.is_empty(),
        "{file} has no example that can be run"
    );
    let server = Server::start(Backend::Sqlite).await;
    let base = server.base().to_owned();
    let differences = tokio::task::spawn_blocking(move || examples::run(&examples, &base))
        .await
        .unwrap();
    assert!(
        differences.is_empty(),
        "{file}:\n{}",
        differences.join("\n\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme() {
    check("README.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_page() {
    check("docs/api.md").await;
}

/// The method and the path that a `curl` command calls; an id in the path is `{id}`, as in the OpenAPI document.
fn route(command: &str) -> String {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |flag: &str| {
        words
            .iter()
            .position(|word| *word == flag)
            .and_then(|at| words.get(at + 1))
            .copied()
    };
    let sends = ["-d", "--data", "--json", "--data-urlencode"]
        .iter()
        .any(|flag| words.contains(flag));
    let method = after("-X")
        .or(after("--request"))
        .unwrap_or(if sends { "POST" } else { "GET" });
    let start =
        command.find("http://127.0.0.1:8080").expect("a URL") + "http://127.0.0.1:8080".len();
    let path: String = command[start..]
        .chars()
        .take_while(|c| !c.is_whitespace() && !"?\"'".contains(*c))
        .collect();
    format!(
        "{method} {}",
        path.replace("${ID}", "{id}").replace("$ID", "{id}")
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_has_an_example() {
    let shown: BTreeSet<String> = read("docs/api.md")
        .iter()
        .map(|example| route(&example.command))
        .collect();
    let server = Server::start(Backend::Sqlite).await;
    let document = server.api().get("/openapi.json").await.expect(200);
    let mut missing = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let route = format!("{} {path}", method.to_uppercase());
            if !shown.contains(&route) {
                missing.push(route);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "docs/api.md has no example of {missing:?}"
    );
}

/// The stream does not end, so it is cut off, and what counts is which events came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_about_the_feed() {
    let page: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs/feed.md"]
        .iter()
        .collect();
    let text = std::fs::read_to_string(page).expect("docs/feed.md");
    let command = text
        .lines()
        .find_map(|line| line.strip_prefix("$ curl "))
        .expect("a call");
    let server = Server::start(Backend::Sqlite).await;
    let key = server.feed_key("docs");
    // As long as it takes the server to learn of the key.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let command = command
        .replace("cs_sk_…", &key)
        .replace("http://127.0.0.1:8080", server.base());
    let run = tokio::task::spawn_blocking(move || {
        std::process::Command::new("sh")
            .args(["-c", &format!("curl --silent --max-time 3 {command}")])
            .output()
    });
    let run = run.await.expect("no panic").expect("curl");
    let shown = String::from_utf8(run.stdout).expect("UTF-8");
    let mut events = shown.lines().filter(|line| line.starts_with("event: "));
    assert!(shown.starts_with("retry: 1000\n\n"), "{shown}");
    assert_eq!(events.next(), Some("event: snapshot"), "{shown}");
    assert!(events.all(|event| event == "event: heartbeat"), "{shown}");
    assert!(
        shown.contains("\nid: 1.") && shown.contains("\"age_ms\":"),
        "{shown}"
    );
    assert!(shown.contains("\"complete\":true"), "{shown}");
}
