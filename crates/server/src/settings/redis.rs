//! `REDIS_URL`.

use countersign_store_redis::RedisUrl;

use super::reader::{Fault, Shown};

pub(super) fn parse(text: &str) -> Result<Option<RedisUrl>, Fault> {
    let url = RedisUrl::parse(text).map_err(|error| {
        Fault::new(format!("cannot be read: {}", error.reason()))
            .hint("percent-encode special characters of the password, such as `%40` for an at sign")
            .shown(Shown::Hidden)
    })?;
    Ok(Some(url))
}

/// A URL that [`parse`] accepted, without what is secret in it.
pub(super) fn redacted(text: &str) -> String {
    match RedisUrl::parse(text) {
        Ok(url) => super::problem::escaped(&url.shown()),
        Err(_) => "(hidden)".to_owned(),
    }
}
