use axum::Json as Answer;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use crate::edge::Edge;

/// Authorization server metadata (RFC 8414, section 2).
#[derive(Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// The `iss` claim of every token.
    issuer: String,
    /// Where tokens are given for a password or a refresh token.
    token_endpoint: String,
    /// Where the public keys are.
    jwks_uri: String,
    /// There is no authorization endpoint, so there are no response types.
    response_types_supported: [String; 0],
    /// What the token endpoint takes.
    grant_types_supported: [&'static str; 2],
    /// Clients do not authenticate.
    token_endpoint_auth_methods_supported: [&'static str; 1],
}

/// Authorization server metadata
///
/// RFC 8414.
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    operation_id = "metadata",
    tag = "For verifiers",
    responses((status = 200, description = "The metadata.", body = Metadata)),
)]
pub(super) async fn metadata(State(edge): State<Edge>) -> impl IntoResponse {
    let issuer = edge.settings.issuer.clone();
    let base = issuer.trim_end_matches('/');
    let metadata = Metadata {
        token_endpoint: format!("{base}/auth/login"),
        jwks_uri: format!("{base}/.well-known/jwks.json"),
        response_types_supported: [],
        grant_types_supported: ["password", "refresh_token"],
        token_endpoint_auth_methods_supported: ["none"],
        issuer,
    };
    ([(CACHE_CONTROL, "public, max-age=300")], Answer(metadata))
}
