//! The page that renders the API description: Swagger UI, from this binary and nowhere else.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use utoipa_swagger_ui::Config;

use crate::edge::Edge;
use crate::problem::{NOT_FOUND, Problem};

const PAGE: &str = include_str!("../assets/docs.html");
const SCRIPT: &str = include_str!("../assets/docs.js");

/// Nothing from elsewhere, no frames. Swagger UI sets styles in the page and has images as data.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Read it and try it
#[utoipa::path(
    get,
    path = "/docs",
    operation_id = "docs",
    tag = "This description",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(crate) async fn docs() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, PAGE)
}

/// What the page loads.
pub(crate) fn assets() -> Router<Edge> {
    Router::new().route("/docs/{file}", get(asset))
}

async fn asset(file: Result<Path<String>, PathRejection>) -> Result<Response, Problem> {
    let Path(file) = file.map_err(|_| &NOT_FOUND)?;
    let cache = (CACHE_CONTROL, "public, max-age=300".to_owned());
    if file == "docs.js" {
        let kind = (CONTENT_TYPE, "text/javascript; charset=utf-8".to_owned());
        return Ok(([kind, cache], SCRIPT).into_response());
    }
    let found = utoipa_swagger_ui::serve(&file, Arc::new(Config::from("/openapi.json")));
    let found = found.ok().flatten().ok_or(&NOT_FOUND)?;
    let kind = (CONTENT_TYPE, found.content_type);
    Ok(([kind, cache], found.bytes.into_owned()).into_response())
}
