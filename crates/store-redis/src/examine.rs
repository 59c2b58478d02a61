use redis::Value;

use crate::link::{Dialer, Link};
use crate::{ConnectError, Settings};

/// What was found out about Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its version, as it says itself; Valkey tells the one of Redis that it stands for.
    pub version: String,
    /// What it does when it is full; `None`: it does not tell, as managed ones may not.
    pub eviction: Option<String>,
}

impl Found {
    /// Whether the store refuses to use it.
    pub fn is_too_old(&self) -> bool {
        is_too_old(&self.version)
    }
}

/// Looks at Redis, and changes nothing. `None`: it does not answer.
pub async fn examine(settings: &Settings) -> Result<Option<Found>, ConnectError> {
    let ca_file = settings.ca_file.as_deref();
    let dialer = Dialer::new(settings.url.clone(), ca_file, settings.patience)?;
    let link = match dialer.connect().await {
        Ok(link) => link,
        Err(error) if crate::keeper::is_refusal(&error) => {
            return Err(ConnectError::Refused(dialer.place(), error.to_string()));
        }
        Err(_) => return Ok(None),
    };
    let version = version(&link).await;
    let mut policy = redis::cmd("CONFIG");
    policy.arg("GET").arg("maxmemory-policy");
    let policy = link.anywhere(policy).await.ok();
    Ok(Some(Found {
        version: version.unwrap_or_else(|| "unknown".to_owned()),
        eviction: policy.as_ref().and_then(last_text),
    }))
}

/// What it says of itself. `None`: it does not tell, as where the user has no right to ask.
pub(crate) async fn version(link: &Link) -> Option<String> {
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let info = link.anywhere(info).await.ok()?;
    let mut lines = text(&info)?.lines();
    lines.find_map(|line| line.strip_prefix("redis_version:").map(str::to_owned))
}

/// Before version 7 scripts were carried to replicas, so that one which is promoted, and may be behind, would look as if it
/// had been there all the time.
pub(crate) fn is_too_old(version: &str) -> bool {
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 7)
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The value of the only pair.
fn last_text(value: &Value) -> Option<String> {
    match value {
        Value::Map(pairs) => pairs.last().and_then(|(_, value)| text(value)),
        Value::Array(items) => items.last().and_then(text),
        _ => None,
    }
    .map(str::to_owned)
}
