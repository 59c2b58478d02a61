//! What came back, and as a text for snapshots.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What a client keeps of a token response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// The headers that a snapshot shows, in this order. What every answer has is checked on every
/// answer instead, see `rules`.
const SHOWN: [&str; 12] = [
    "content-type",
    "cache-control",
    "www-authenticate",
    "retry-after",
    "ratelimit-policy",
    "ratelimit",
    "allow",
    "location",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "x-request-id",
];

/// Members that differ from run to run, since the making of signing keys cannot be seeded.
const RANDOM: [&str; 5] = ["access_token", "kid", "n", "x", "y"];

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The status and the code of an answer that is a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        match self.json()["code"].as_str() {
            Some(code) => (self.status, code.to_owned()),
            None => panic!("no problem: {self}"),
        }
    }

    pub(crate) fn tokens(&self) -> Tokens {
        assert_eq!(self.status, 200, "{self}");
        let text = |member: &str| self.json()[member].as_str().unwrap().to_owned();
        Tokens {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = StatusCode::from_u16(self.status).unwrap();
        writeln!(f, "{status}")?;
        for name in SHOWN {
            for value in self.headers.get_all(name) {
                writeln!(f, "{name}: {}", value.to_str().unwrap())?;
            }
        }
        match serde_json::from_slice(&self.body) {
            Ok(json) => write!(f, "\n{:#}", stable(json)),
            Err(_) => write!(f, "\n{}", String::from_utf8_lossy(&self.body)),
        }
    }
}

/// Members in alphabetical order, whatever features `serde_json` was built with, and without what
/// is random.
fn stable(mut value: Value) -> Value {
    value.sort_all_objects();
    redact(&mut value);
    value
}

fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.is_string() && RANDOM.contains(&name.as_str()) {
                    true => *value = "[random]".into(),
                    false => redact(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}
