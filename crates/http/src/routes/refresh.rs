use axum::extract::State;
use axum::{Extension, Json as Answer};
use utoipa::ToSchema;

use crate::answers::TokensAnswer;
use crate::body::JsonOrForm;
use crate::context::Context;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::{Problem, UNSUPPORTED_GRANT_TYPE};
use crate::sight::Repeated;
use crate::standings::Standings;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct RefreshRequest {
    /// The refresh token.
    #[schema(example = "cs_rt_…")]
    refresh_token: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the form; `from_fields` reads it")]
pub(crate) struct RefreshForm {
    /// The refresh token.
    #[schema(example = "cs_rt_…")]
    refresh_token: String,
    /// `refresh_token`, if it is sent at all.
    #[schema(
        example = "refresh_token",
        pattern = "^refresh_token$",
        nullable = false
    )]
    grant_type: Option<String>,
}

pub(super) enum RefreshInput {
    Token(String),
    OtherGrant,
}

impl FromFields for RefreshInput {
    fn from_fields(fields: &mut Fields) -> Self {
        match fields.form_text("grant_type").as_deref() {
            None | Some("refresh_token") => Self::Token(fields.text("refresh_token")),
            Some(_) => Self::OtherGrant,
        }
    }
}

/// Exchange a refresh token
///
/// A refresh token is valid once. Within the grace period (30 seconds by default) the same token
/// gets the same successor again, so that a lost answer or two requests at once sign nobody out; after it, using the
/// token again ends the session, since somebody must hold a copy.
#[utoipa::path(
    post,
    path = "/auth/refresh",
    operation_id = "refresh",
    tag = "Signing in",
    request_body(content((RefreshRequest = "application/json"), (RefreshForm = "application/x-www-form-urlencoded"))),
    responses((status = 200, description = "New tokens.", body = TokensAnswer)),
)]
pub(super) async fn refresh(
    State(edge): State<Edge>,
    Context(caller): Context,
    standings: Standings,
    JsonOrForm { input, form }: JsonOrForm<RefreshInput>,
) -> Result<(Option<Extension<Repeated>>, Answer<TokensAnswer>), Problem> {
    let answer = async {
        match input {
            RefreshInput::Token(token) => {
                Ok(standings.of(edge.flows.refresh(&token, &caller).await)?)
            }
            RefreshInput::OtherGrant => Err(Problem::from(&UNSUPPORTED_GRANT_TYPE)),
        }
    };
    let tokens = answer.await.map_err(|problem| problem.for_client(form))?;
    let repeated = tokens.repeated.then_some(Extension(Repeated));
    Ok((repeated, Answer(tokens.into())))
}
