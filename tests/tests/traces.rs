//! Spans: what a collector is sent, and what becomes of the server when it is not there.

use std::time::Duration;

use countersign_tests::collector::Seen;
use countersign_tests::{Api, Backend, Collector, Server, Setup};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

async fn traced_by(collector: &Collector) -> Server {
    setup(collector).start().await
}

fn setup(collector: &Collector) -> Setup {
    Setup::new(Backend::Sqlite)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .set("COUNTERSIGN_LOG_FORMAT", "json")
}

/// The span of the request with this id.
fn of<'s>(spans: &'s [Seen], id: &str) -> Option<&'s Seen> {
    let its = |seen: &&Seen| seen.get("http.response.header.x-request-id") == Some(id);
    let mut found = spans.iter().filter(its);
    let first = found.next();
    assert!(found.next().is_none(), "two spans of {id}");
    first
}

async fn ask(server: &Server, method: Method, path: &str, id: &str, traceparent: Option<&str>) {
    let mut request = server
        .api()
        .request(method, path)
        .header("X-Request-Id", id);
    if let Some(traceparent) = traceparent {
        request = request.header("traceparent", traceparent);
        request = request.header("tracestate", "vendor=1");
    }
    Api::send(request).await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_a_span() {
    let collector = Collector::start().await;
    let mut server = setup(&collector)
        .set("OTEL_SERVICE_NAME", "sign-in")
        .set("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20key, tenant=7")
        .start()
        .await;
    let get = Method::GET;
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    ask(&server, get.clone(), "/auth/me", "child", Some(&sampled)).await;
    ask(&server, get.clone(), "/.well-known/jwks.json", "root", None).await;
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    ask(
        &server,
        get.clone(),
        "/auth/me",
        "unsampled",
        Some(&unsampled),
    )
    .await;
    ask(
        &server,
        get.clone(),
        "/auth/me",
        "nonsense",
        Some("00-nonsense"),
    )
    .await;
    let session = "/auth/sessions/0190c2d4-7f1e-7cc1-9d3b-3f7a9a1f2b4c";
    ask(&server, Method::DELETE, session, "in-path", None).await;
    ask(
        &server,
        get.clone(),
        "/ada@example.com?a=b",
        "nowhere",
        None,
    )
    .await;
    let brew = Method::from_bytes(b"BREW").unwrap();
    ask(&server, brew, "/auth/me", "brew", None).await;
    ask(&server, get, "/healthz", "health", None).await;
    let log = server.stop_with_log().await;

    let posted = collector.posted();
    for one in &posted {
        assert!(
            one.head.starts_with("post /v1/traces http/1.1\r\n"),
            "{}",
            one.head
        );
        assert!(
            one.head
                .contains("content-type: application/x-protobuf\r\n")
        );
        assert!(one.head.contains("api-key: a key\r\n") && one.head.contains("tenant: 7\r\n"));
    }
    let spans = collector.spans();
    let child = of(&spans, "child").expect("child");
    assert_eq!(hex(&child.span.trace_id), TRACE);
    assert_eq!(hex(&child.span.parent_span_id), PARENT);
    assert_eq!(child.span.trace_state, "vendor=1");
    assert_eq!(child.span.name, "GET /auth/me");
    assert_eq!(child.span.kind(), SpanKind::Server);
    assert!(child.span.end_time_unix_nano >= child.span.start_time_unix_nano);
    let code = |seen: &Seen| seen.span.status.clone().unwrap_or_default().code();
    // A client that is refused is no failure of the server's.
    assert_eq!(code(child), StatusCode::Unset);
    let mut attributes = child.attributes.clone();
    attributes.sort();
    let expected = [
        ("countersign.problem.code", "missing_token"),
        ("http.request.method", "GET"),
        ("http.response.header.x-request-id", "child"),
        ("http.response.status_code", "401"),
        ("http.route", "/auth/me"),
        ("network.protocol.version", "1.1"),
        ("service.name", "sign-in"),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("url.path", "/auth/me"),
        ("url.scheme", "http"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(attributes, expected);

    for alone in ["root", "nonsense"] {
        let span = &of(&spans, alone).expect(alone).span;
        assert!(span.parent_span_id.is_empty(), "{alone}");
        assert_ne!(hex(&span.trace_id), TRACE);
        assert_eq!(span.trace_state, "");
    }
    assert!(of(&spans, "unsampled").is_none());
    assert!(of(&spans, "health").is_none());

    let in_path = of(&spans, "in-path").expect("in-path");
    assert_eq!(in_path.span.name, "DELETE /auth/sessions/{id}");
    assert_eq!(in_path.get("url.path"), Some("REDACTED"));
    let nowhere = of(&spans, "nowhere").expect("nowhere");
    assert_eq!(nowhere.span.name, "GET");
    assert_eq!(
        (nowhere.get("http.route"), nowhere.get("url.path")),
        (None, Some("REDACTED"))
    );
    let brew = of(&spans, "brew").expect("brew");
    assert_eq!(brew.span.name, "HTTP /auth/me");
    assert_eq!(brew.get("http.request.method"), Some("_OTHER"));

    // The lines of the log name the same traces.
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["target"] == "request").collect();
    let line = |id: &str| {
        let found = lines.iter().find(|line| line["request_id"] == id);
        found.and_then(|line| line["trace_id"].as_str().map(str::to_owned))
    };
    for id in ["child", "root", "nonsense", "in-path", "nowhere", "brew"] {
        let span = &of(&spans, id).expect(id).span;
        assert_eq!(line(id), Some(hex(&span.trace_id)), "{id}");
    }
    assert_eq!(line("unsampled").as_deref(), Some(TRACE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_the_server_are_errors() {
    let collector = Collector::start().await;
    let setup = setup(&collector).set("BCRYPT_ROUNDS", "12");
    let setup = setup.set("HASH_WORKERS", "1").set("HASH_LANES", "1");
    let mut server = setup.set("HASH_QUEUE_SECONDS", "1").start().await;
    let api = server.api();
    let logins: Vec<_> = (0..30)
        .map(|_| {
            let api = api.clone();
            tokio::spawn(async move { api.login("nobody@example.com", "wrong").await.status })
        })
        .collect();
    let mut refused = 0;
    for login in logins {
        refused += usize::from(login.await.unwrap() == 503);
    }
    assert!(refused > 0);
    server.stop().await;
    let spans = collector.spans();
    let failed = spans.iter().filter(|seen| {
        let status = seen.span.status.clone().unwrap_or_default();
        let failed = status.code() == StatusCode::Error;
        assert_eq!(failed, seen.get("http.response.status_code") == Some("503"));
        assert_eq!(failed, seen.get("error.type") == Some("overloaded"));
        failed
    });
    assert_eq!(failed.count(), refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_hold_no_secrets_and_nothing_personal() {
    let collector = Collector::start().await;
    let mut server = traced_by(&collector).await;
    let (api, email) = (server.api(), "ada.lovelace@example.com");
    let tokens = api.new_session(email, PASSWORD).await;
    api.login(email, "a wrong password").await.expect(401);
    api.me(&tokens.access).await.expect(200);
    let path = format!("/auth/me?email={email}&token={}", tokens.access);
    api.get(&path).await.expect(401);
    api.get(&format!("/{email}/{}", tokens.refresh))
        .await
        .expect(404);
    let next = api.refresh(&tokens.refresh).await.tokens();
    server.stop().await;
    assert!(collector.spans().len() >= 7);
    let posted = collector.posted();
    let sent: Vec<u8> = posted.into_iter().flat_map(|posted| posted.body).collect();
    let has = |text: &str| {
        sent.windows(text.len())
            .any(|bytes| bytes == text.as_bytes())
    };
    assert!(has("/auth/login"));
    let secrets = [&tokens.access, &tokens.refresh, &next.access, &next.refresh];
    for secret in secrets {
        assert!(!has(secret), "{secret}");
    }
    for personal in [
        email,
        "lovelace",
        PASSWORD,
        "a wrong password",
        "127.0.0.1",
        "reqwest",
    ] {
        assert!(!has(personal), "{personal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_spans_and_one_line() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let setup = Setup::new(Backend::Sqlite).set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0");
    let mut server = setup
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .start()
        .await;
    let log = server.log();
    let (_, rest) = log.split_once("operator's listener on ").unwrap();
    let operator = Api::new(rest.split_whitespace().next().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    // At least twice in a row, so that a second failure could have had a line of its own.
    let mut losses = 0;
    let mut lost = 0;
    while losses < 2 {
        assert!(Instant::now() < deadline, "{}", server.log());
        server.api().get("/auth/me").await.expect(401);
        let figures = operator.get("/metrics").await.text;
        let now = figures
            .lines()
            .find_map(|line| line.strip_prefix("countersign_spans_lost_total "))
            .and_then(|value| value.parse::<u64>().ok())
            .expect("a figure");
        losses += u32::from(now > lost);
        lost = now;
        sleep(Duration::from_millis(50)).await;
    }
    let log = server.stop_with_log().await;
    assert_eq!(log.matches("does not take spans").count(), 1, "{log}");
}

/// It accepts, and never answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_hangs_does_not_hold_up_the_end() {
    let collector = Collector::answering("").await;
    let mut server = traced_by(&collector).await;
    for _ in 0..3_000 {
        server.api().get("/auth/me").await.expect(401);
    }
    // Stops within the bound that every end has.
    server.stop().await;
    assert!(!collector.posted().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_endpoint_ends_the_start_with_one_line() {
    for (name, value, shown) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "127.0.0.1:4318", true),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector", true),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://collector:4318/v1/traces",
            true,
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://user:hunter2@collector",
            false,
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://collector?key=hunter2",
            false,
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2", false),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=hunter2%0d%0ab: c", false),
        ("OTEL_TRACES_SAMPLER_ARG", "10%", true),
    ] {
        let setup = Setup::new(Backend::Sqlite).set(name, value);
        let (code, printed) = setup.prepare().await.run_refused();
        assert_eq!(code, Some(78), "{printed}");
        let naming = printed
            .lines()
            .filter(|line| line.contains(&format!("`{name}`")));
        assert_eq!(naming.count(), 1, "{printed}");
        assert_eq!(printed.contains(value), shown, "{printed}");
        assert!(!printed.contains("hunter2"), "{printed}");
    }
}
