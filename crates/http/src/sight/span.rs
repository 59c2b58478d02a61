//! A request as a span of a trace, for whoever exports it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode, Version};

use super::trace_context::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The longest `tracestate` that is passed on, in bytes: what W3C Trace Context, section 3.3.1.5,
/// asks of everybody.
const MAX_TRACESTATE: usize = 512;

/// Takes spans of requests.
pub trait Spans: Send + Sync {
    /// A request is over. Must not wait for anything: its client does meanwhile.
    ///
    /// Answers the id of the trace that the span was recorded in, as 32 hexadecimal digits.
    fn record(&self, span: &RequestSpan<'_>) -> Option<String>;
}

/// A request that is over: all that may be told of it outside, so nothing secret or personal.
#[derive(Debug)]
pub struct RequestSpan<'a> {
    /// The caller's span.
    pub parent: Option<&'a TraceParent>,
    /// What others have noted about the trace, in the form of `tracestate`.
    pub trace_state: Option<&'a str>,
    /// The method, or `other`.
    pub method: &'static str,
    /// The template of the route; `None` where there is no such route.
    pub route: Option<&'a str>,
    /// Whether clients reach the server by HTTPS.
    pub secure: bool,
    /// The version of HTTP.
    pub version: Version,
    /// `None`: the client went away before the answer.
    pub status: Option<StatusCode>,
    /// The code of the problem, where the answer was one.
    pub code: Option<&'static str>,
    /// What the client was told in `X-Request-Id`.
    pub request_id: &'a str,
    /// From the request's head to its end, which is now.
    pub took: Duration,
}

/// What a request says of the trace that it belongs to.
pub(super) struct Trace {
    pub(super) parent: Option<TraceParent>,
    state: Option<String>,
}

impl Trace {
    /// Reads the headers; the state only `with_state`, and only where there is a parent
    /// (section 3.3.1 of W3C Trace Context).
    pub(super) fn read(headers: &HeaderMap, with_state: bool) -> Self {
        let parent = headers.get(TRACEPARENT).and_then(TraceParent::read);
        let state = match parent {
            Some(_) if with_state => state(headers),
            _ => None,
        };
        Self { parent, state }
    }

    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Several fields are one list (section 3.3.1.1).
fn state(headers: &HeaderMap) -> Option<String> {
    let fields = headers.get_all(TRACESTATE).into_iter();
    let fields: Option<Vec<&str>> = fields.map(|field| field.to_str().ok()).collect();
    let state = fields?.join(",");
    (1..=MAX_TRACESTATE).contains(&state.len()).then_some(state)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_state_is_a_list_that_needs_a_parent() {
        let mut headers = HeaderMap::new();
        headers.append(TRACESTATE, HeaderValue::from_static("one=1,two=2"));
        headers.append(TRACESTATE, HeaderValue::from_static("three=3"));
        assert_eq!(Trace::read(&headers, true).state(), None);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
        let read = Trace::read(&headers, true);
        assert_eq!(read.state(), Some("one=1,two=2,three=3"));
        assert_eq!(Trace::read(&headers, false).state(), None);
        let long = format!("four={}", "4".repeat(MAX_TRACESTATE));
        headers.append(TRACESTATE, HeaderValue::from_str(&long).unwrap());
        assert_eq!(Trace::read(&headers, true).state(), None);
    }
}
