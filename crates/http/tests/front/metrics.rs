//! What the figures say after requests that are known.

use axum::body::Body;
use countersign_domain::limits::Rule;
use countersign_flows::LimitPolicy;
use http::{HeaderName, Method};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;

use crate::app::{App, Choices, PASSWORD, minutes, seconds};

impl App {
    /// All figures.
    pub(crate) async fn metrics(&self) -> String {
        let request = http::Request::get("/metrics").body(Body::empty()).unwrap();
        let response = self.operator.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.headers()["content-type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// One series.
    async fn figure(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .unwrap()
    }

    async fn refreshes(&self, outcome: &str) -> f64 {
        let series = format!("auth_token_refresh_total{{outcome=\"{outcome}\"}}");
        self.figure(&series).await
    }
}

#[tokio::test]
async fn sign_ins_are_counted_by_what_came_of_them() {
    let app = App::new().await;
    assert_eq!(app.figure("auth_login_success_total").await, 0.0);
    app.welcome("ada@example.org").await;
    app.sign_in("ada@example.org").await;
    for password in ["wrong", "wrong again", ""] {
        app.login("ada@example.org", password).await;
    }
    app.post("/auth/login")
        .form("username=ada@example.org&password=wrong")
        .send()
        .await;
    app.post("/auth/login").json(&json!({})).send().await;
    assert_eq!(app.figure("auth_login_success_total").await, 2.0);
    for (reason, count) in [
        ("invalid_credentials", 4.0),
        ("validation_failed", 1.0),
        ("account_disabled", 0.0),
    ] {
        let series = format!("auth_login_failure_total{{reason=\"{reason}\"}}");
        assert_eq!(app.figure(&series).await, count, "{reason}");
    }
    let histogram = "auth_operation_duration_seconds_count{operation=\"login\"}";
    assert_eq!(app.figure(histogram).await, 7.0);
    let bucket = "auth_operation_duration_seconds_bucket{le=\"+Inf\",operation=\"login\"}";
    assert_eq!(app.figure(bucket).await, 7.0);
}

#[tokio::test]
async fn refreshes_are_counted_by_what_came_of_them() {
    let app = App::new().await;
    let first = app.welcome("ada@example.org").await;
    let second = app.refresh(&first.refresh).await.tokens();
    app.refresh(&first.refresh).await.tokens();
    app.refresh(&first.refresh).await.tokens();
    app.refresh(&second.refresh).await.tokens();
    app.step(seconds(31));
    app.refresh(&first.refresh).await;
    let other = app.sign_in("ada@example.org").await;
    app.post("/auth/logout").bearer(&other.access).send().await;
    app.refresh(&other.refresh).await;
    app.refresh("cs_rt_nonsense").await;
    app.post("/auth/refresh").body("nonsense").send().await;
    let last = app.sign_in("ada@example.org").await;
    app.step(minutes(60 * 24 * 31));
    app.refresh(&last.refresh).await;
    let store = app.store.clone();
    store.close().await;
    app.refresh(&second.refresh).await;
    for (outcome, count) in [
        ("rotated", 2.0),
        ("repeated", 2.0),
        ("reused", 1.0),
        ("revoked", 1.0),
        ("expired", 1.0),
        ("invalid", 1.0),
        ("refused", 1.0),
        ("unavailable", 1.0),
        ("limited", 0.0),
    ] {
        assert_eq!(app.refreshes(outcome).await, count, "{outcome}");
    }
    let errors = "countersign_store_errors_total{operation=\"refresh\"}";
    assert_eq!(app.figure(errors).await, 1.0);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let app = App::new().await;
    let ada = app.welcome("ada@example.org").await;
    app.assert_live(&ada).await;
    app.me("nonsense").await;
    app.delete("/auth/sessions/018f3a5e-0000-7000-8000-000000000001")
        .bearer(&ada.access)
        .send()
        .await;
    let requests = |method: &str, route: &str, status: &str| {
        format!(
            "countersign_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
        )
    };
    for (series, count) in [
        (requests("GET", "/auth/me", "2xx"), 1.0),
        (requests("GET", "/auth/me", "4xx"), 1.0),
        (requests("DELETE", "/auth/sessions/{id}", "4xx"), 1.0),
        (requests("POST", "/auth/register", "2xx"), 1.0),
    ] {
        assert_eq!(app.figure(&series).await, count, "{series}");
    }
    // The request for the figures is one itself.
    assert_eq!(app.figure("countersign_http_requests_in_flight").await, 1.0);
    assert_eq!(app.figure("countersign_hashing_computed_total").await, 2.0);
    assert_eq!(app.figure("countersign_token_cache_entries").await, 1.0);
    assert_eq!(app.figure("countersign_revocations").await, 0.0);
    app.post("/auth/logout").bearer(&ada.access).send().await;
    assert_eq!(app.figure("countersign_revocations").await, 1.0);
    app.step(minutes(2));
    let age = "countersign_announcements_age_seconds";
    assert_eq!(app.figure(age).await, 120.0);
    app.flows.follow().await.unwrap();
    assert_eq!(app.figure(age).await, 0.0);
    let key = app.figure("countersign_signing_key_age_seconds").await;
    assert_eq!(key, 120.0);
    let version = env!("CARGO_PKG_VERSION");
    let build = format!("countersign_build_info{{version=\"{version}\"}}");
    assert_eq!(app.figure(&build).await, 1.0);
}

#[tokio::test]
async fn clients_cannot_make_up_series() {
    let app = App::new().await;
    let series = async || {
        let text = app.metrics().await;
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    // The few that come into being with the first request that belongs to no route.
    for method in ["GET", "BREW"] {
        app.request(method.parse().unwrap(), "/0").send().await;
        app.request(method.parse().unwrap(), "/auth/me")
            .send()
            .await;
    }
    app.me("nonsense").await;
    series().await;
    let before = series().await;
    for number in 0..50 {
        let path = format!("/{number}?query={number}");
        app.get(&path).send().await;
        app.get(&format!("/docs/{number}.js")).send().await;
        let method: Method = format!("BREW{number}").parse().unwrap();
        app.request(method.clone(), &path).send().await;
        app.request(method, "/auth/me").send().await;
        app.get("/auth/me")
            .header(HeaderName::from_static("x-request-id"), number.to_string())
            .header(http::header::USER_AGENT, number.to_string())
            .send()
            .await;
    }
    let after = series().await;
    // Of `/docs/{file}` there was none before.
    assert_eq!(after, before + 1);
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_is_counted() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let login = app.login("ada@example.org", PASSWORD);
    // Polled once, it waits for its password to be hashed, and is dropped.
    assert!(futures_util::FutureExt::now_or_never(login).is_none());
    let given_up = "countersign_http_requests_given_up_total";
    assert_eq!(app.figure(given_up).await, 1.0);
    assert_eq!(app.figure("auth_login_success_total").await, 0.0);
    assert_eq!(app.figure("countersign_http_requests_in_flight").await, 1.0);
}

#[tokio::test]
async fn only_the_operators_listener_has_them() {
    let app = App::new().await;
    let answer = app.get("/metrics").send().await;
    assert_eq!(answer.problem(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn limits_are_counted_by_what_they_did() {
    let window = |limit| {
        let window = minutes(15);
        Some(Rule::Window { limit, window })
    };
    let limits = LimitPolicy {
        login: window(2),
        account: window(3),
        other: window(4),
        ..LimitPolicy::default()
    };
    let app = App::with(Choices {
        limits,
        ..Choices::default()
    });
    let app = app.await;
    let figures = async |limit: &str| {
        let mut found = [0.0; 3];
        for (figure, kind) in found.iter_mut().zip(["taken", "given_back", "refused"]) {
            let series = format!("countersign_rate_limit_{kind}_total{{limit=\"{limit}\"}}");
            *figure = app.figure(&series).await;
        }
        found
    };
    for limit in [
        "login", "account", "device", "password", "register", "refresh", "other",
    ] {
        assert_eq!(figures(limit).await, [0.0; 3], "{limit}");
    }
    app.register("ada@example.org").await;
    // Right, wrong, wrong, and no place left.
    app.sign_in("ada@example.org").await;
    for _ in 0..3 {
        app.login("ada@example.org", "wrong").await;
    }
    assert_eq!(figures("login").await, [3.0, 1.0, 1.0]);
    assert_eq!(figures("account").await, [3.0, 1.0, 0.0]);
    assert_eq!(figures("register").await, [0.0; 3]);
    for _ in 0..6 {
        app.me("nonsense").await;
    }
    assert_eq!(figures("other").await, [4.0, 0.0, 2.0]);
    assert_eq!(app.figure("countersign_rate_limit_memory_keys").await, 3.0);
    assert_eq!(
        app.figure("countersign_rate_limit_without_store_total")
            .await,
        0.0
    );
}
