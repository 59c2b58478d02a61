use axum::extract::State;
use countersign_flows::LogoutScope;
use http::StatusCode;
use utoipa::ToSchema;

use crate::bearer::Bearer;
use crate::body::OptionalJson;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::{MISSING_TOKEN, Problem, RATE_LIMITED};

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct LogoutRequest {
    /// Enough by itself, also when the access token has expired. If it is sent, an access token is
    /// not looked at.
    #[schema(example = "cs_rt_…")]
    refresh_token: Option<String>,
    /// `local` (the default): this session; `global`: all sessions of the user; `others`: all but
    /// this one.
    #[schema(example = "local", pattern = "^(local|global|others)$")]
    scope: Option<String>,
}

pub(super) struct LogoutInput {
    refresh_token: Option<String>,
    scope: LogoutScope,
}

impl FromFields for LogoutInput {
    fn from_fields(fields: &mut Fields) -> Self {
        Self {
            refresh_token: fields.optional_text("refresh_token"),
            scope: match fields.optional_text("scope").as_deref() {
                None | Some("local") => LogoutScope::Local,
                Some("global") => LogoutScope::Global,
                Some("others") => LogoutScope::Others,
                Some(_) => fields.wrong(
                    "scope",
                    "scope_invalid",
                    "must be `local`, `global` or `others`",
                ),
            },
        }
    }
}

/// Sign out
///
/// By access token, or by refresh token in the body. From the answer on, access tokens of the
/// ended sessions are refused by this instance, and within a second by every other. With a genuine refresh
/// token, signing out again is 204 too, and ends nothing more.
#[utoipa::path(
    post,
    path = "/auth/logout",
    operation_id = "logout",
    tag = "Signing in",
    request_body(content = Option<LogoutRequest>),
    responses((status = 204, description = "Signed out.")),
    security((), ("bearer" = []), ("password" = [])),
)]
pub(super) async fn logout(
    State(edge): State<Edge>,
    Context(caller): Context,
    bearer: Result<Option<Bearer>, Problem>,
    OptionalJson(input): OptionalJson<LogoutInput>,
) -> Result<StatusCode, Problem> {
    if let Err(problem) = &bearer
        && *problem.kind == RATE_LIMITED
    {
        return Err(problem.clone());
    }
    match input.refresh_token {
        Some(token) => {
            edge.flows
                .logout_by_refresh_token(&token, input.scope, &caller)
                .await?
        }
        None => {
            let Bearer(who) = bearer?.ok_or(&MISSING_TOKEN)?;
            edge.flows.logout(&who, input.scope, &caller).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
