use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

use crate::edge::Edge;
use crate::feed::{self, ResumePoint};
use crate::problem::Problem;
use crate::serve::Endless;
use crate::service::FeedService;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells a proxy in front to pass events on at once.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow what is revoked
///
/// A stream of server-sent events without an end, for APIs that verify access tokens by themselves: a snapshot of what is revoked, what
/// is revoked from then on, changes of the signing keys, and a heartbeat each second. Needs a service key with the
/// scope `feed`. The protocol is described in `docs/feed.md`.
#[utoipa::path(
    get,
    path = "/auth/revocations",
    operation_id = "revocations",
    tag = "For verifiers",
    params(("Last-Event-ID" = Option<String>, Header, description = "The last `id` that was seen, to go on from there. One that is unknown or old gets everything.")),
    responses((status = 200, description = "Events until either side ends the connection.", body = String, content_type = "text/event-stream",
        example = "event: revoked\ndata: {\"sessions\":[{\"sid\":\"…\",\"until\":1800003900,\"event_id\":\"…\"}]}\n\n")),
    security(("service_key" = [])),
)]
pub(super) async fn revocations(
    State(edge): State<Edge>,
    FeedService(service): FeedService,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = edge.feed.place().ok_or_else(Problem::feed_full)?;
    let seen = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let point: Option<ResumePoint> = seen.and_then(|id| id.parse().ok());
    let body = feed::stream(Arc::clone(&edge.feed), service, place, point).await;
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        (BUFFERING, "no"),
    ];
    let mut answer = (headers, body).into_response();
    answer.extensions_mut().insert(Endless);
    Ok(answer)
}
