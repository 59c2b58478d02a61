//! Who calls, for every handler alike.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use countersign_flows::Caller;
use http::HeaderValue;
use http::header::USER_AGENT;
use http::request::Parts;

use crate::device;
use crate::edge::Edge;
use crate::serve::PeerAddress;

/// The longest `User-Agent` that is kept, in bytes.
const MAX_USER_AGENT: usize = 256;

/// The request's id, as the edge settled it.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Who calls.
pub(crate) struct Context(pub(crate) Caller);

impl FromRequestParts<Edge> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<PeerAddress>();
        let request_id = parts.extensions.get::<RequestId>();
        Ok(Self(Caller {
            ip: peer.map(|peer| {
                edge.settings
                    .trusted_proxies
                    .client(peer.0.ip(), &parts.headers)
            }),
            device: device::presented(&parts.headers, edge.secure()),
            user_agent: parts.headers.get(USER_AGENT).and_then(user_agent),
            request_id: request_id
                .map(|id| id.as_str().to_owned())
                .unwrap_or_default(),
            operator: None,
        }))
    }
}

/// Visible ASCII only: it is shown to users and operators.
fn user_agent(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let text: String = text
        .chars()
        .filter(|c| (' '..='~').contains(c))
        .take(MAX_USER_AGENT)
        .collect();
    (!text.is_empty()).then_some(text)
}
