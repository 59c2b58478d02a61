//! What the edge gives to whoever takes spans.

use std::sync::{Arc, Mutex};

use countersign_http::{RequestSpan, Spans};
use futures_util::FutureExt;
use serde_json::{Value, json};

use crate::app::{App, Choices, PASSWORD};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[derive(Default)]
struct Kept(Mutex<Vec<Value>>);

impl Spans for Kept {
    fn record(&self, span: &RequestSpan<'_>) -> Option<String> {
        self.0.lock().unwrap().push(json!({
            "parent": span.parent.map(|parent| (parent.trace_id(), parent.parent_id(), parent.sampled())),
            "state": span.trace_state,
            "method": span.method,
            "route": span.route,
            "secure": span.secure,
            "status": span.status.map(|status| status.as_u16()),
            "code": span.code,
            "request_id": span.request_id,
        }));
        None
    }
}

async fn watched() -> (App, Arc<Kept>) {
    let kept = Arc::new(Kept::default());
    let app = App::with(Choices {
        spans: Some(kept.clone()),
        ..Choices::default()
    });
    (app.await, kept)
}

#[tokio::test]
async fn a_request_is_given_with_its_parent() {
    let (app, kept) = watched().await;
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    app.get("/auth/me?email=ada@example.org")
        .header("x-request-id".parse().unwrap(), "7")
        .header("traceparent".parse().unwrap(), &parent)
        .header("tracestate".parse().unwrap(), "one=1")
        .send()
        .await;
    app.get("/ada@example.org")
        .header("x-request-id".parse().unwrap(), "8")
        .header("tracestate".parse().unwrap(), "one=1")
        .send()
        .await;
    app.get("/healthz").send().await;
    let expected = json!([
        {
            "parent": [TRACE, "b7ad6b7169203331", true], "state": "one=1", "method": "GET",
            "route": "/auth/me", "secure": true, "status": 401, "code": "missing_token", "request_id": "7",
        },
        {
            "parent": null, "state": null, "method": "GET", "route": null, "secure": true, "status": 404,
            "code": "not_found", "request_id": "8",
        },
    ]);
    assert_eq!(json!(*kept.0.lock().unwrap()), expected);
}

#[tokio::test]
async fn a_request_that_its_client_gives_up_has_no_status() {
    let (app, kept) = watched().await;
    app.register("ada@example.org").await;
    kept.0.lock().unwrap().clear();
    let login = app.login("ada@example.org", PASSWORD);
    assert!(login.now_or_never().is_none());
    let kept = kept.0.lock().unwrap();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(
        (&kept[0]["route"], &kept[0]["status"]),
        (&json!("/auth/login"), &Value::Null)
    );
}
