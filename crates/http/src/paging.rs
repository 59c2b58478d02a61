//! Cursor pagination: `?limit=` and `?cursor=`.

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use jiff::Timestamp;
use uuid::Uuid;

use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::form;
use crate::problem::Problem;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Where a page begins: after the item of this time and id.
pub(crate) type Cursor = (Timestamp, Uuid);

/// Which page is wanted.
pub(crate) struct Paging {
    pub(crate) limit: u32,
    pub(crate) after: Option<Cursor>,
}

impl FromRequestParts<Edge> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Edge) -> Result<Self, Problem> {
        let pairs = form::parse(parts.uri.query().unwrap_or_default())?;
        Fields::from_form(pairs).read()
    }
}

impl FromFields for Paging {
    fn from_fields(fields: &mut Fields) -> Self {
        let limit = match fields.optional_text("limit").map(|text| text.parse()) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => fields.wrong("limit", "out_of_range", "must be a number from 1 to 200"),
        };
        let after = match fields.optional_text("cursor").map(|text| decode(&text)) {
            None => None,
            Some(None) => fields.wrong(
                "cursor",
                "cursor_invalid",
                "must be a `next_cursor` of this list",
            ),
            Some(cursor) => cursor,
        };
        Self { limit, after }
    }
}

/// A cursor for the client to hand back. It says nothing that the list does not.
pub(crate) fn encode((time, id): Cursor) -> String {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&time.as_microsecond().to_be_bytes());
    bytes[8..].copy_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<Cursor> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (time, id) = bytes.split_first_chunk::<8>()?;
    // Nothing is older than 1970, and databases do not know all the years that could be asked for.
    let micros = Some(i64::from_be_bytes(*time)).filter(|micros| *micros >= 0)?;
    let time = Timestamp::from_microsecond(micros).ok()?;
    Some((time, Uuid::from_slice(id).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_as_they_went() {
        let cursor = (
            Timestamp::from_microsecond(1_800_000_000_123_456).unwrap(),
            Uuid::from_bytes([7; 16]),
        );
        assert_eq!(decode(&encode(cursor)), Some(cursor));
        for text in ["", "x", "####", "AAAA", &"f".repeat(32), &"_".repeat(32)] {
            assert!(
                decode(text).is_none_or(|cursor| encode(cursor) == text),
                "{text}"
            );
        }
    }
}
