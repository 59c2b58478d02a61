//! The page that renders the API description: Swagger UI, from this binary and nowhere else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
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
    let cache = (CACHE_CONTROL, "public, max-age=300");
    if file == "docs.js" {
        let kind = (CONTENT_TYPE, "text/javascript; charset=utf-8");
        return Ok(([kind, cache], SCRIPT).into_response());
    }
    let (kind, bytes) = SHARED.get(file.as_str()).ok_or(&NOT_FOUND)?;
    let headers = [(CONTENT_TYPE, kind.as_str()), cache];
    Ok((headers, bytes.clone()).into_response())
}

/// Swagger UI's files. All answers share one copy: a client that asks a thousand times and reads
/// nothing must cost nothing.
static SHARED: LazyLock<HashMap<&str, (String, Bytes)>> = LazyLock::new(|| {
    let config = Arc::new(Config::from("/openapi.json"));
    let files = [
        "swagger-ui.css",
        "swagger-ui-bundle.js",
        "favicon-32x32.png",
    ];
    let read = |file: &'static str| {
        let found = utoipa_swagger_ui::serve(file, Arc::clone(&config))
            .ok()
            .flatten()?;
        let bytes = match found.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some((file, (found.content_type, bytes)))
    };
    files.into_iter().filter_map(read).collect()
});
