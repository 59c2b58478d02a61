//! How a caller stands with a limit, on its way from a handler to the answer's fields.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use countersign_flows::{Counted, Standing};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::edge::Edge;

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Where a request's standing is noted; the edge writes down what was noted last.
#[derive(Clone, Default)]
pub(crate) struct Standings(Arc<Mutex<Option<Standing>>>);

impl Standings {
    pub(crate) fn note(&self, standing: Option<Standing>) {
        if standing.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = standing;
        }
    }

    /// The outcome, after its standing was noted.
    pub(crate) fn of<T, E>(&self, counted: Counted<T, E>) -> Result<T, E> {
        self.note(counted.standing);
        counted.outcome
    }

    /// Adds `RateLimit-Policy` and `RateLimit`, as structured fields (RFC 9651), in the form of
    /// draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let standing = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(standing) = standing else { return };
        let Standing {
            policy,
            quota,
            remaining,
            ..
        } = standing;
        let window = standing
            .window
            .map(|window| format!(";w={}", seconds(window)));
        let window = window.unwrap_or_default();
        let reset = seconds(standing.reset);
        let fields = [
            (RATE_LIMIT_POLICY, format!("\"{policy}\";q={quota}{window}")),
            (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={reset}")),
        ];
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

/// Whole seconds, none too few.
pub(crate) fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl FromRequestParts<Edge> for Standings {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Edge) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
