//! One line for each request, and what it never says.

use std::io;
use std::sync::{Arc, Mutex};

use http::HeaderName;
use http::header::USER_AGENT;
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

use crate::app::{App, PASSWORD};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What this test's thread logs while `_on` lives.
struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _on: DefaultGuard,
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// As the server writes it, in JSON or for people.
    fn start(filter: &str, json: bool) -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let writer = Writer(Arc::clone(&written));
        let lines = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(filter))
            .with_writer(move || writer.clone());
        let on = match json {
            true => tracing::subscriber::set_default(lines.json().flatten_event(true).finish()),
            false => tracing::subscriber::set_default(lines.with_ansi(false).finish()),
        };
        Self { written, _on: on }
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().unwrap().clone()).unwrap()
    }

    /// The lines about requests, without what differs from run to run.
    fn requests(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut lines: Vec<Value> = lines
            .filter(|line: &Value| line["target"] == "request")
            .collect();
        for line in &mut lines {
            let line = line.as_object_mut().unwrap();
            line.remove("timestamp").unwrap();
            line.remove("target").unwrap();
        }
        lines
    }
}

#[tokio::test]
async fn a_line_for_each_request() {
    let app = App::new().await;
    let log = Log::start("info", true);
    app.get("/auth/sessions?cursor=secret-cursor")
        .header(REQUEST_ID, "my-request-7")
        .header(
            TRACEPARENT,
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        .send()
        .await;
    app.get("/.well-known/jwks.json")
        .header(REQUEST_ID, "my-request-8")
        .header(TRACEPARENT, "00-nonsense")
        .send()
        .await;
    app.get("/secret-path").header(REQUEST_ID, "9").send().await;
    let expected = [
        json!({
            "level": "INFO", "message": "answered", "method": "GET", "route": "/auth/sessions", "status": 401,
            "code": "missing_token", "duration_us": 0, "request_id": "my-request-7",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        }),
        json!({
            "level": "INFO", "message": "answered", "method": "GET", "route": "/.well-known/jwks.json",
            "status": 200, "duration_us": 0, "request_id": "my-request-8",
        }),
        json!({
            "level": "INFO", "message": "answered", "method": "GET", "route": "unmatched", "status": 404,
            "code": "not_found", "duration_us": 0, "request_id": "9",
        }),
    ];
    assert_eq!(log.requests(), expected);
    assert!(!log.text().contains("secret"), "{}", log.text());
}

#[tokio::test]
async fn health_checks_are_not_worth_a_line() {
    let app = App::new().await;
    let log = Log::start("info", true);
    app.get("/healthz").send().await;
    app.get("/readyz").send().await;
    assert_eq!(log.requests(), Vec::<Value>::new());
    let log = Log::start("debug", true);
    app.get("/healthz").send().await;
    assert_eq!(log.requests().len(), 1);
}

#[tokio::test]
async fn the_lines_can_be_turned_off() {
    let app = App::new().await;
    let log = Log::start("info,request=off", true);
    app.me("nonsense").await;
    app.register("ada@example.org").await;
    assert_eq!(log.requests(), Vec::<Value>::new());
    assert!(log.text().contains("registered"));
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_has_a_line() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let log = Log::start("info", true);
    let login = app.login("ada@example.org", PASSWORD);
    assert!(futures_util::FutureExt::now_or_never(login).is_none());
    let lines = log.requests();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["message"], "given up by its client");
    assert_eq!(lines[0]["route"], "/auth/login");
}

#[tokio::test]
async fn why_it_failed_is_told_under_the_requests_id() {
    let app = App::new().await;
    app.store.close().await;
    let log = Log::start("info", true);
    let login = app.post("/auth/login").header(REQUEST_ID, "my-request-7");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    assert_eq!(login.json(&body).send().await.status, 503);
    let lines: Vec<Value> = log
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line["request_id"] == "my-request-7")
    );
    assert_eq!(lines[0]["message"], "storage unavailable");
    assert_eq!(lines[1]["code"], "unavailable");
}

#[tokio::test]
async fn what_clients_send_cannot_forge_a_line() {
    for json in [true, false] {
        let app = App::new().await;
        let log = Log::start("trace", json);
        // No header can hold a newline or an escape. What it can hold: an escape of the upper
        // half, a line separator, a tab.
        for text in ["a\u{9b}31mb", "a\u{2028}INFO forged", "\tforged"] {
            app.get("/auth/me")
                .header(REQUEST_ID, text)
                .header(USER_AGENT, text)
                .header(TRACEPARENT, text)
                .bearer("nonsense")
                .send()
                .await;
        }
        let forged = "x\nINFO forged \u{1b}[31m";
        app.login(forged, forged).await;
        let body = json!({"email": forged, "password": forged, "name": forged});
        app.post("/auth/register").json(&body).send().await;
        let log = log.text();
        assert!(log.contains("/auth/me"), "{log}");
        for (number, line) in log.lines().enumerate() {
            let begins = line.starts_with("{\"timestamp\"") || line.starts_with("20");
            assert!(begins, "line {number} of\n{log}");
        }
        let control = |c: char| c.is_control() && c != '\n' || c == '\u{2028}';
        assert!(!log.contains(control), "{log:?}");
        assert!(!log.contains("forged"), "{log}");
    }
}
