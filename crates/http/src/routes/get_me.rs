use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::answers::UserAnswer;
use crate::bearer::Bearer;
use crate::edge::Edge;
use crate::problem::Problem;

/// Read your own profile
#[utoipa::path(
    get,
    path = "/auth/me",
    operation_id = "get_me",
    tag = "Your account",
    responses((status = 200, description = "The signed-in user.", body = UserAnswer)),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn get_me(
    State(edge): State<Edge>,
    Bearer(who): Bearer,
) -> Result<Response, Problem> {
    let user = edge.flows.profile(&who).await?;
    Ok(Answer(UserAnswer::from(&*user)).into_response())
}
