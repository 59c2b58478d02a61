use redis::Value;

use crate::link::Dialer;
use crate::{ConnectError, Settings};

/// What was found out about Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its version, as it says itself; Valkey tells the one of Redis that it stands for.
    pub version: String,
    /// What it does when it is full; `None`: it does not tell, as managed ones may not.
    pub eviction: Option<String>,
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
    let mut info = redis::cmd("INFO");
    info.arg("server");
    let info = match link.anywhere(info).await {
        Ok(info) => info,
        Err(error) if crate::keeper::is_refusal(&error) => {
            return Err(ConnectError::Refused(dialer.place(), error.to_string()));
        }
        Err(_) => return Ok(None),
    };
    let version = text(&info).and_then(|info| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix("redis_version:").map(str::to_owned))
    });
    let mut policy = redis::cmd("CONFIG");
    policy.arg("GET").arg("maxmemory-policy");
    let policy = link.anywhere(policy).await.ok();
    Ok(Some(Found {
        version: version.unwrap_or_else(|| "unknown".to_owned()),
        eviction: policy.as_ref().and_then(last_text),
    }))
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
