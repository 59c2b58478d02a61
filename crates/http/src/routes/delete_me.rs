use axum::extract::State;
use http::StatusCode;
use utoipa::ToSchema;

use crate::bearer::Bearer;
use crate::body::OptionalJson;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::{Problem, REAUTHENTICATION_REQUIRED};
use crate::standings::Standings;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct DeleteMeRequest {
    /// The account's password.
    #[schema(example = "correct horse battery staple", format = "password")]
    password: String,
}

pub(super) struct DeleteMeInput {
    password: Option<String>,
}

impl FromFields for DeleteMeInput {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            password: fields.optional_text("password"),
        }
    }
}

/// Delete your own account
///
/// Needs the password once more. Everything that belongs to the user is deleted, and all sessions
/// end before this answers.
#[utoipa::path(
    delete,
    path = "/auth/me",
    operation_id = "delete_me",
    tag = "Your account",
    request_body = DeleteMeRequest,
    responses((status = 204, description = "The account is gone.")),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn delete_me(
    State(edge): State<Edge>,
    Context(caller): Context,
    standings: Standings,
    Bearer(who): Bearer,
    OptionalJson(input): OptionalJson<DeleteMeInput>,
) -> Result<StatusCode, Problem> {
    let password = input.password.ok_or(&REAUTHENTICATION_REQUIRED)?;
    standings.of(edge.flows.delete_account(&who, &password, &caller).await)?;
    Ok(StatusCode::NO_CONTENT)
}
