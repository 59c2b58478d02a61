use axum::Json as Answer;
use axum::extract::State;
use axum::response::IntoResponse;
use countersign_flows::Registration;
use http::StatusCode;
use http::header::LOCATION;
use utoipa::ToSchema;

use crate::answers::UserAnswer;
use crate::body::Json;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::Problem;
use crate::standings::Standings;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct RegisterRequest {
    /// The e-mail address to sign in with.
    #[schema(example = "ada@example.org", max_length = 254)]
    email: String,
    /// 8 characters to 1,024 bytes, and none of the most common ones.
    #[schema(
        example = "correct horse battery staple",
        format = "password",
        min_length = 8
    )]
    password: String,
    /// A display name of up to 200 characters.
    #[schema(example = "Ada", max_length = 200)]
    name: Option<String>,
}

impl FromFields for Registration {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            email: fields.text("email"),
            password: fields.text("password"),
            name: fields.optional_text("name"),
        }
    }
}

/// Register a user
///
/// The user is not signed in by that: call `/auth/login` next.
#[utoipa::path(
    post,
    path = "/auth/register",
    operation_id = "register",
    tag = "Signing in",
    request_body = RegisterRequest,
    responses((status = 201, description = "The user exists now.", body = UserAnswer,
        headers(("Location" = String, description = "`/auth/me`")))),
)]
pub(super) async fn register(
    State(edge): State<Edge>,
    Context(caller): Context,
    standings: Standings,
    Json(registration): Json<Registration>,
) -> Result<impl IntoResponse, Problem> {
    let user = standings.of(edge.flows.register(&registration, &caller).await)?;
    let answer = Answer(UserAnswer::from(&user)).into_response();
    Ok((StatusCode::CREATED, [(LOCATION, "/auth/me")], answer))
}
