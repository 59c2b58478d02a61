//! What an operator sees: the figures, the dashboard and the alerts over them, and the log.

use std::collections::BTreeSet;
use std::path::PathBuf;

use countersign_tests::{Api, Backend, Server, Setup, on_each_backend};
use reqwest::Method;
use serde_json::{Value, json};

on_each_backend!(
    figures_are_for_the_operator_alone,
    the_dashboard_and_the_alerts_name_what_exists,
);

async fn with_operator(backend: Backend) -> (Server, Api) {
    let redis = std::env::var("COUNTERSIGN_TEST_REDIS")
        .expect("COUNTERSIGN_TEST_REDIS names no Redis: run the tests with `scripts/test`");
    let setup = Setup::new(backend)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .set("REDIS_URL", redis);
    let server = setup.start().await;
    let operator = server.operator();
    (server, operator)
}

async fn figures_are_for_the_operator_alone(backend: Backend) {
    let (server, operator) = with_operator(backend).await;
    for path in ["/metrics", "/metrics/", "//metrics", "/METRICS"] {
        assert_eq!(server.api().get(path).await.status, 404, "{path}");
    }
    let figures = operator.get("/metrics").await;
    assert_eq!(figures.status, 200);
    assert!(figures.text.ends_with("# EOF\n"), "{}", figures.text);
    assert_eq!(operator.get("/auth/me").await.status, 404);
}

/// Names of series in a text: whatever begins as ours do.
fn names(text: &str) -> BTreeSet<&str> {
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !part_of_name(c))
        .filter(|word| {
            ["auth_", "countersign_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .collect()
}

/// Names of series that have a value.
fn shown(figures: &str) -> BTreeSet<&str> {
    let lines = figures.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.split(['{', ' ']).next().unwrap())
        .collect()
}

async fn the_dashboard_and_the_alerts_name_what_exists(backend: Backend) {
    let (server, operator) = with_operator(backend).await;
    let tokens = server
        .api()
        .new_session("ada@example.com", "correct horse battery")
        .await;
    server.api().refresh(&tokens.refresh).await.expect(200);
    let figures = operator.get("/metrics").await.text;
    let shown = shown(&figures);
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "deploy"]
        .iter()
        .collect();
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let queries = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<&str> = queries.map(|one| one["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 20, "{queries:?}");
    let queries = queries.join("\n");
    let alerts = read("prometheus-alerts.yaml");
    let docs = folder.join("../docs/operations.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    // Shown in the table by their family's name.
    let family = |name: &str| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name)
            .to_owned()
    };
    let documented = names(&docs);
    for (file, text) in [("dashboard", &queries), ("alerts", &alerts)] {
        let wanted = names(text);
        assert!(wanted.len() > 8, "{file}: {wanted:?}");
        let missing: Vec<_> = wanted.difference(&shown).collect();
        assert!(missing.is_empty(), "{file}: {missing:?} not in\n{figures}");
    }
    let families: BTreeSet<String> = shown.iter().map(|name| family(name)).collect();
    let undocumented: Vec<_> = families
        .iter()
        .filter(|name| !documented.contains(name.as_str()))
        .collect();
    assert!(
        undocumented.is_empty(),
        "docs/operations.md: {undocumented:?}"
    );
    let made_up: Vec<_> = documented
        .iter()
        .filter(|name| !families.contains(&family(name)))
        .collect();
    assert!(made_up.is_empty(), "docs/operations.md: {made_up:?}");
}

/// A life in which everything secret and personal passes by.
async fn live(server: &Server) -> Vec<String> {
    let (email, name) = ("Ada.Lovelace@example.com", "Augusta-Ada-King");
    let passwords = [
        "first-plain-password",
        "second-plain-password",
        "wrong-plain-password",
    ];
    let agent = "Analytical-Engine/1.0";
    let api = server.api();
    let mut seen: Vec<String> = passwords.map(str::to_owned).to_vec();
    seen.extend(
        [
            email,
            &email.to_lowercase(),
            "Lovelace",
            "lovelace",
            name,
            agent,
        ]
        .map(str::to_owned),
    );
    let mut tokens = api.new_session(email, passwords[0]).await;
    seen.extend([tokens.access.clone(), tokens.refresh.clone()]);
    let old = tokens.refresh.clone();
    for _ in 0..2 {
        tokens = api.refresh(&tokens.refresh).await.tokens();
        seen.extend([tokens.access.clone(), tokens.refresh.clone()]);
    }
    // The one before the one before: a copy, so its session ends.
    api.refresh(&old).await.expect(401);
    api.me(&tokens.access).await.expect(401);
    api.login(email, passwords[2]).await.expect(401);
    tokens = api.login(email, passwords[0]).await.tokens();
    seen.extend([tokens.access.clone(), tokens.refresh.clone()]);
    let me = api
        .request(Method::PATCH, "/auth/me")
        .bearer_auth(&tokens.access);
    let me = me.header("User-Agent", agent).json(&json!({"name": name}));
    Api::send(me).await.expect(200);
    let path = format!("/auth/me?email={email}&token={}", tokens.access);
    api.get(&path).await.expect(401);
    api.get(&format!("/{email}")).await.expect(404);
    api.with_token(
        Method::POST,
        "/auth/login",
        &tokens.access,
        json!({"email": email}),
    )
    .await;
    api.change_password(&tokens.access, passwords[0], passwords[1])
        .await
        .expect(204);
    api.logout(&tokens.refresh).await.expect(204);
    let secret = std::fs::read_to_string(server.folder().join("root-secret")).unwrap();
    seen.push(secret.trim().to_owned());
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_holds_no_secrets_and_nothing_personal() {
    for format in ["human", "json"] {
        let mut server = Setup::new(Backend::Sqlite)
            .set("COUNTERSIGN_LOG", "debug")
            .set("COUNTERSIGN_LOG_FORMAT", format)
            .start()
            .await;
        let seen = live(&server).await;
        let log = server.stop_with_log().await;
        assert!(log.matches("/auth/refresh").count() >= 3, "{log}");
        for text in seen {
            assert!(!log.contains(&text), "{format}: `{text}` in\n{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_requests_are_in_the_log_when_the_server_has_ended() {
    let setup = Setup::new(Backend::Sqlite).set("COUNTERSIGN_LOG_FORMAT", "json");
    let mut server = setup.start().await;
    for number in 0..50 {
        let request = server.api().request(Method::GET, "/auth/me");
        Api::send(request.header("X-Request-Id", format!("last-{number}"))).await;
    }
    let log = server.stop_with_log().await;
    let ids: Vec<String> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["target"] == "request")
        .map(|line| line["request_id"].as_str().unwrap().to_owned())
        .filter(|id| id.starts_with("last-"))
        .collect();
    let expected: Vec<String> = (0..50).map(|number| format!("last-{number}")).collect();
    assert_eq!(ids, expected);
}
