use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

use crate::edge::Edge;
use crate::problem::{INTERNAL, Problem};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The server's figures. On the operator's listener only, and so not in the API description.
pub(super) async fn metrics(State(edge): State<Edge>) -> Result<impl IntoResponse, Problem> {
    let text = edge.sight.text().map_err(|_| &INTERNAL)?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text))
}
