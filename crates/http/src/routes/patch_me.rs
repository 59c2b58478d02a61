use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use countersign_flows::ProfilePatch;
use utoipa::ToSchema;

use crate::answers::UserAnswer;
use crate::bearer::Bearer;
use crate::body::Json;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::Problem;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct PatchMeRequest {
    /// A display name of up to 200 characters; `null` or an empty one removes it. Left out, it
    /// stays.
    #[schema(example = "Ada Lovelace", max_length = 200)]
    name: Option<String>,
}

impl FromFields for ProfilePatch {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            name: fields.nullable_text("name"),
        }
    }
}

/// Change your own profile
#[utoipa::path(
    patch,
    path = "/auth/me",
    operation_id = "patch_me",
    tag = "Your account",
    request_body = PatchMeRequest,
    responses((status = 200, description = "The user as it is now.", body = UserAnswer)),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn patch_me(
    State(edge): State<Edge>,
    Context(caller): Context,
    Bearer(who): Bearer,
    Json(patch): Json<ProfilePatch>,
) -> Result<Response, Problem> {
    let user = edge.flows.change_profile(&who, patch, &caller).await?;
    Ok(Answer(UserAnswer::from(&user)).into_response())
}
