//! Answering nothing while the data move to another database, or have moved: whoever is served here must not differ from
//! whoever is served there.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use countersign_store::Closed;
use http::header::CONTENT_TYPE;

use crate::edge::Edge;
use crate::problem::{Problem, UNAVAILABLE};

/// What operators ask all the same.
const ALWAYS_OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Where a form is posted as RFC 6749 has it.
const FORMS: [&str; 2] = ["/auth/login", "/auth/refresh"];

pub(crate) async fn guard(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    match edge.flows.closed() {
        Some(closed) if !ALWAYS_OPEN.contains(&path) => {
            let form = FORMS.contains(&path) && is_form(&request);
            refusal(closed).for_client(form).into_response()
        }
        _ => next.run(request).await,
    }
}

/// Why nothing is answered.
pub(crate) fn refusal(closed: Closed) -> Problem {
    let (detail, seconds) = match closed {
        Closed::Moving => (
            "The server moves to another database, which takes seconds. Nothing was changed; try again after the time in `Retry-After`.",
            2,
        ),
        Closed::Moved => (
            "The server has moved to another database, and this instance is to be replaced. Nothing was changed; try again after the time in `Retry-After`.",
            5,
        ),
        Closed::Unfinished => (
            "The server moves to this database, and not everything is here yet. Nothing was changed; try again after the time in `Retry-After`.",
            5,
        ),
    };
    Problem::from(&UNAVAILABLE)
        .detail(detail)
        .retry_after(Duration::from_secs(seconds))
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}
