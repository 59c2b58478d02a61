//! The routes, one file each.

mod audit_events;
mod change_password;
mod delete_me;
mod end_session;
mod get_me;
mod health;
mod jwks;
mod list_sessions;
mod login;
mod logout;
mod metadata;
mod metrics;
mod openapi;
mod patch_me;
mod refresh;
mod register;
mod revocations;

use axum::Router;
use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::docs_page;
use crate::edge::Edge;

/// Every public route, with its description.
pub(crate) fn described() -> OpenApiRouter<Edge> {
    OpenApiRouter::new()
        .routes(routes!(register::register))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(
            get_me::get_me,
            patch_me::patch_me,
            delete_me::delete_me
        ))
        .routes(routes!(change_password::change_password))
        .routes(routes!(list_sessions::list_sessions))
        .routes(routes!(end_session::end_session))
        .routes(routes!(audit_events::audit_events))
        .routes(routes!(revocations::revocations))
        .routes(routes!(jwks::jwks))
        .routes(routes!(metadata::metadata))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::openapi_json))
        .routes(routes!(docs_page::docs))
}

/// The routes of the public listener.
pub fn public_router(edge: Edge) -> Router {
    let routes = Router::from(described()).merge(docs_page::assets());
    edge.around(routes)
}

/// The routes of the operator's listener.
pub fn operator_router(edge: Edge) -> Router {
    let routes = OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz));
    let routes = Router::from(routes).route("/metrics", get(metrics::metrics));
    edge.around(routes)
}
