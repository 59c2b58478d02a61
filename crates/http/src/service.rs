//! Service keys in the `Authorization` header.

use axum::extract::FromRequestParts;
use countersign_domain::service_key::ServiceScope;
use countersign_flows::Service;
use http::request::Parts;

use crate::bearer::bearer_token;
use crate::edge::Edge;
use crate::problem::{MISSING_SERVICE_KEY, Problem};

/// A service that may follow the feed. Its requests are not counted: nobody finds a key by trying, and asking costs no more than
/// any other refusal; a database that is away must not keep services out.
pub(crate) struct FeedService(pub(crate) Service);

impl FromRequestParts<Edge> for FeedService {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Problem> {
        let key = bearer_token(&parts.headers)?.ok_or(&MISSING_SERVICE_KEY)?;
        Ok(Self(edge.flows.service(key, ServiceScope::Feed)?))
    }
}
