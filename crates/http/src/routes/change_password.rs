use axum::extract::State;
use countersign_flows::PasswordChange;
use http::StatusCode;
use utoipa::ToSchema;

use crate::bearer::Bearer;
use crate::body::Json;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::Problem;
use crate::standings::Standings;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct ChangePasswordRequest {
    /// The password so far.
    #[schema(example = "correct horse battery staple", format = "password")]
    current_password: String,
    /// The password from now on: 8 characters to 1,024 bytes, and none of the most common ones.
    #[schema(example = "a better passphrase", format = "password", min_length = 8)]
    new_password: String,
}

impl FromFields for PasswordChange {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            current: fields.text("current_password"),
            new: fields.text("new_password"),
        }
    }
}

/// Change your own password
///
/// Ends every other session of the user before this answers.
#[utoipa::path(
    post,
    path = "/auth/password/change",
    operation_id = "change_password",
    tag = "Your account",
    request_body = ChangePasswordRequest,
    responses((status = 204, description = "The new password holds.")),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn change_password(
    State(edge): State<Edge>,
    Context(caller): Context,
    standings: Standings,
    Bearer(who): Bearer,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    standings.of(edge.flows.change_password(&who, &change, &caller).await)?;
    Ok(StatusCode::NO_CONTENT)
}
