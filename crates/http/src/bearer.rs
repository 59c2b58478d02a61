//! Access tokens in the `Authorization` header (RFC 6750, section 2.1).

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use countersign_flows::{Authenticated, Fault};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::context::Context;
use crate::edge::Edge;
use crate::problem::{INVALID_TOKEN, MISSING_TOKEN, Problem};
use crate::standings::Standings;

/// A caller with a verified access token of a live session.
pub(crate) struct Bearer(pub(crate) Authenticated);

impl FromRequestParts<Edge> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Problem> {
        count(parts, edge).await?;
        let token = bearer_token(&parts.headers)?.ok_or(&MISSING_TOKEN)?;
        Ok(Self(edge.flows.authenticate(token).await?))
    }
}

impl OptionalFromRequestParts<Edge> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Option<Self>, Problem> {
        count(parts, edge).await?;
        match bearer_token(&parts.headers)? {
            Some(token) => Ok(Some(Self(edge.flows.authenticate(token).await?))),
            None => Ok(None),
        }
    }
}

/// Counts the request against the limit of all that takes a token, before the token is looked at.
async fn count(parts: &mut Parts, edge: &Edge) -> Result<(), Problem> {
    let Ok(Context(caller)) = Context::from_request_parts(parts, edge).await;
    let Ok(standings) = Standings::from_request_parts(parts, edge).await;
    match edge.flows.count_other(&caller).await {
        Ok(standing) => {
            standings.note(standing);
            Ok(())
        }
        Err(limited) => {
            standings.note(Some(limited.standing));
            Err(Fault::from(limited).into())
        }
    }
}

/// The token; `None`: no such header. Two of them are refused, since a proxy and this server might
/// not agree on which one counts.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let (scheme, token) = text
        .and_then(|text| text.split_once(' '))
        .ok_or(&INVALID_TOKEN)?;
    match scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        true => Ok(Some(token.trim_start_matches(' '))),
        false => Err(Problem::from(&INVALID_TOKEN)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_headers_are_refused() {
        let read = |value: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
            bearer_token(&headers)
                .map(|token| token.map(str::to_owned))
                .ok()
        };
        assert_eq!(read(b"Bearer abc"), Some(Some("abc".to_owned())));
        assert_eq!(read(b"bEARER  abc"), Some(Some("abc".to_owned())));
        for refused in [
            b"".as_slice(),
            b" ",
            b"Bearer",
            b"Bearer ",
            b"Basic YTpi",
            b"abc",
            b"Bearer\tabc",
            b"\xff\xfe x",
            b"Bearer,abc",
        ] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
        let mut two = HeaderMap::new();
        two.append(AUTHORIZATION, "Bearer abc".parse().unwrap());
        two.append(AUTHORIZATION, "Bearer abc".parse().unwrap());
        assert!(bearer_token(&two).is_err());
        assert!(matches!(bearer_token(&HeaderMap::new()), Ok(None)));
    }
}
