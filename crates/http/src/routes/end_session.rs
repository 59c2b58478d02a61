use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use countersign_domain::SessionId;
use http::StatusCode;

use crate::bearer::Bearer;
use crate::context::Context;
use crate::edge::Edge;
use crate::problem::{Problem, SESSION_NOT_FOUND};

/// End one of your own sessions
///
/// Ending a session that has ended already is 204 too, as long as it is remembered.
#[utoipa::path(
    delete,
    path = "/auth/sessions/{id}",
    operation_id = "end_session",
    tag = "Your sessions",
    params(("id" = uuid::Uuid, Path, description = "The session's id.")),
    responses((status = 204, description = "The session has ended.")),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn end_session(
    State(edge): State<Edge>,
    Context(caller): Context,
    Bearer(who): Bearer,
    id: Result<Path<SessionId>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id.map_err(|_| &SESSION_NOT_FOUND)?;
    edge.flows.end_session(&who, id, &caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
