use axum::extract::State;
use axum::response::IntoResponse;
use countersign_flows::keys::JWKS_MAX_AGE_SECONDS;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::edge::Edge;

/// The public signing keys
///
/// A JWK set (RFC 7517). A new key is listed at least ten minutes before it signs. Empty under
/// HS256.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "jwks",
    tag = "For verifiers",
    responses((status = 200, description = "The keys.", body = Object, content_type = "application/json",
        example = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "…", "x": "…"}]}))),
)]
pub(super) async fn jwks(State(edge): State<Edge>) -> impl IntoResponse {
    let cache = format!("public, max-age={JWKS_MAX_AGE_SECONDS}");
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (CACHE_CONTROL, cache),
    ];
    (headers, edge.flows.jwks())
}
