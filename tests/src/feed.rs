//! A client of the revocation feed, as `docs/feed.md` has it, over the real wire.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::{Api, Server};

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    pub name: String,
    pub data: Value,
}

/// Follows one instance after the other.
#[derive(Debug)]
pub struct Follower {
    key: String,
    http: reqwest::Client,
    stream: Option<Response>,
    text: Vec<u8>,
    /// Where it goes on.
    pub last_id: Option<String>,
    /// The ids of sessions and users that are revoked.
    pub known: BTreeSet<String>,
    /// How many entries it was told of outside of snapshots.
    pub entries: usize,
    /// How many snapshots it was sent to their end.
    pub snapshots: usize,
    /// How many heartbeats came.
    pub beats: usize,
}

impl Follower {
    pub fn new(key: &str) -> Follower {
        Follower {
            key: key.to_owned(),
            http: reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("client"),
            stream: None,
            text: Vec::new(),
            last_id: None,
            known: BTreeSet::new(),
            entries: 0,
            snapshots: 0,
            beats: 0,
        }
    }

    /// Leaves the instance that it follows, and follows this one. Answers the status.
    pub async fn follow(&mut self, server: &Server) -> u16 {
        let request = self.http.get(format!("{}/auth/revocations", server.base()));
        self.follow_by(request).await
    }

    /// The same of whatever answers this client.
    pub async fn follow_through(&mut self, api: &Api) -> u16 {
        let request = api.request(Method::GET, "/auth/revocations");
        self.follow_by(request.timeout(Duration::from_secs(600)))
            .await
    }

    async fn follow_by(&mut self, request: RequestBuilder) -> u16 {
        self.stream = None;
        self.text.clear();
        let mut request = request.bearer_auth(&self.key);
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        if status == 200 {
            self.stream = Some(answer);
        }
        status
    }

    /// Follows an instance that may have to learn of the key first, which takes it a second at most.
    pub async fn follow_soon(&mut self, server: &Server) {
        let began = Instant::now();
        while self.follow(server).await != 200 {
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "the key is not known"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The next event within `longest`; `None`: none came. `Err`: the stream has ended.
    pub async fn next(&mut self, longest: Duration) -> Result<Option<Event>, ()> {
        let deadline = Instant::now() + longest;
        loop {
            while let Some(end) = self.text.windows(2).position(|two| two == b"\n\n") {
                let rest = self.text.split_off(end + 2);
                let event = std::mem::replace(&mut self.text, rest);
                let event = String::from_utf8(event).expect("UTF-8");
                if let Some(event) = self.take(&event) {
                    return Ok(Some(event));
                }
            }
            let stream = self.stream.as_mut().ok_or(())?;
            match tokio::time::timeout_at(deadline, stream.chunk()).await {
                Err(_) => return Ok(None),
                Ok(Ok(Some(chunk))) => self.text.extend_from_slice(&chunk),
                Ok(Ok(None) | Err(_)) => {
                    self.stream = None;
                    return Err(());
                }
            }
        }
    }

    fn take(&mut self, text: &str) -> Option<Event> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let event = Event {
            name: field("event: ")?.to_owned(),
            data: serde_json::from_str(field("data: ")?).expect("JSON"),
        };
        for (list, id) in [("sessions", "sid"), ("users", "sub")] {
            let entries = event.data[list].as_array().into_iter().flatten();
            let ids = entries.map(|entry| entry[id].as_str().expect("an id").to_owned());
            let ids: Vec<String> = ids.collect();
            self.entries += ids.len() * usize::from(event.name == "revoked");
            self.known.extend(ids);
        }
        match event.name.as_str() {
            "snapshot" => self.snapshots += usize::from(event.data["complete"] == true),
            "heartbeat" => self.beats += 1,
            _ => {}
        }
        if let Some(id) = field("id: ") {
            self.last_id = Some(id.to_owned());
        }
        Some(event)
    }

    /// Reads until the session is known. Panics after five seconds.
    pub async fn until_known(&mut self, sid: &str) {
        let reading = async {
            while !self.known.contains(sid) {
                self.next(Duration::from_secs(5))
                    .await
                    .expect("the stream goes on");
            }
        };
        timeout(Duration::from_secs(5), reading)
            .await
            .expect("it is told");
    }

    /// Reads up to the next heartbeat.
    pub async fn until_beat(&mut self) {
        let reading = async {
            loop {
                let event = self
                    .next(Duration::from_secs(5))
                    .await
                    .expect("the stream goes on");
                if event.is_some_and(|event| event.name == "heartbeat") {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(10), reading)
            .await
            .expect("a heartbeat");
    }

    /// Reads until the stream ends.
    pub async fn until_end(&mut self, longest: Duration) {
        let reading = async { while self.next(longest).await.is_ok() {} };
        timeout(longest, reading).await.expect("the stream ends");
    }
}

impl Server {
    /// Makes a service key for the feed.
    pub fn feed_key(&self, name: &str) -> String {
        let made = self.cli(&["service-key", "create", name, "--scope", "feed", "--json"]);
        made.json()["key"].as_str().expect("a key").to_owned()
    }
}
