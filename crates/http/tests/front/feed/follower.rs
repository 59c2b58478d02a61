//! A client of the feed, as `docs/feed.md` has it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use countersign_domain::service_key::ServiceScope;
use countersign_http::PeerAddress;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::app::{App, OPERATOR};

/// Longer than anything takes that comes at all.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn key(app: &App) -> String {
    let scopes = [ServiceScope::Feed];
    let made = app
        .flows
        .create_service_key("api", &scopes, None, &OPERATOR);
    made.await.unwrap().1.expose().to_owned()
}

pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) data: Value,
}

pub(super) struct Follower {
    body: Body,
    text: String,
    /// Everything that has arrived.
    pub(super) raw: String,
    /// What it knows to be revoked: sessions and users by id, everybody as `everybody`.
    pub(super) known: BTreeSet<String>,
    pub(super) keys_changed: usize,
    pub(super) snapshots: usize,
    pub(super) last_id: Option<String>,
}

impl Follower {
    pub(super) async fn new(app: &App, key: &str, last_id: Option<&str>) -> Self {
        let mut request =
            http::Request::get("/auth/revocations").header(AUTHORIZATION, format!("Bearer {key}"));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let mut request = request.body(Body::empty()).unwrap();
        let peer = ([203, 0, 113, 7], 4711).into();
        request.extensions_mut().insert(PeerAddress(peer));
        let answer = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self {
            body: answer.into_body(),
            text: String::new(),
            raw: String::new(),
            known: BTreeSet::new(),
            keys_changed: 0,
            snapshots: 0,
            last_id: last_id.map(str::to_owned),
        }
    }

    /// The next event; `None`: the stream has ended. Comments and `retry` are passed over.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.read(&event) {
                    return Some(event);
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.expect("nothing came")?.unwrap();
            let text = std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
            self.text.push_str(text);
            self.raw.push_str(text);
        }
    }

    /// Takes what is sent at once, without a look at it.
    pub(super) async fn some_bytes(&mut self) {
        let frame = self.body.frame().await.expect("the stream goes on");
        let frame = frame.unwrap();
        let text = std::str::from_utf8(frame.data_ref().unwrap()).unwrap();
        self.text.push_str(text);
        self.raw.push_str(text);
    }

    fn read(&mut self, text: &str) -> Option<Event> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let event = Event {
            name: field("event: ")?.to_owned(),
            id: field("id: ").map(str::to_owned),
            data: serde_json::from_str(field("data: ").unwrap()).unwrap(),
        };
        match event.name.as_str() {
            "snapshot" => self.snapshots += usize::from(event.data["complete"] == true),
            "keys_changed" => self.keys_changed += 1,
            _ => {}
        }
        for (list, id) in [("sessions", "sid"), ("users", "sub"), ("everybody", "")] {
            for entry in event.data[list].as_array().into_iter().flatten() {
                assert!(entry["until"].is_i64());
                let name = entry[id].as_str().unwrap_or("everybody");
                self.known.insert(name.to_owned());
            }
        }
        if event.id.is_some() {
            self.last_id.clone_from(&event.id);
        }
        Some(event)
    }

    /// Has the server tell what there is, and reads up to the heartbeat that this comes with.
    pub(super) async fn catch_up(&mut self, app: &App) -> Value {
        app.step(crate::app::seconds(1));
        app.flows.follow().await.unwrap();
        app.edge.feed_now();
        let as_of = app.flows.now().to_string();
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == "heartbeat" && event.data["as_of"] == as_of {
                return event.data;
            }
        }
    }

    /// Reads until nothing more is there.
    pub(super) async fn drain(&mut self) {
        while self.next().await.is_some() {}
    }
}
