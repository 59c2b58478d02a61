use axum::Json as Answer;
use axum::extract::State;
use countersign_flows::Login;
use http::HeaderMap;
use utoipa::ToSchema;

use crate::answers::TokensAnswer;
use crate::body::JsonOrForm;
use crate::context::Context;
use crate::device;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::problem::{Problem, UNSUPPORTED_GRANT_TYPE};
use crate::standings::Standings;

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the body; `from_fields` reads it")]
pub(crate) struct LoginRequest {
    /// The e-mail address.
    #[schema(example = "ada@example.org")]
    email: String,
    /// The password.
    #[schema(example = "correct horse battery staple", format = "password")]
    password: String,
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "describes the form; `from_fields` reads it")]
pub(crate) struct LoginForm {
    /// The e-mail address.
    #[schema(example = "ada@example.org", nullable = false)]
    username: Option<String>,
    /// The password.
    #[schema(
        example = "correct horse battery staple",
        format = "password",
        nullable = false
    )]
    password: Option<String>,
    /// `password`, which is the default, or `refresh_token`.
    #[schema(
        example = "password",
        pattern = "^(password|refresh_token)$",
        nullable = false
    )]
    grant_type: Option<String>,
    /// With `grant_type=refresh_token`, instead of the other two: for OAuth 2 clients, which know
    /// one token endpoint. The same as `/auth/refresh`.
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    /// Accepted and answered with the granted scope, which is empty in this version.
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// The JSON body has `email`, the form `username`; each takes only its own.
pub(super) enum LoginInput {
    Password(Login),
    Refresh(String),
    OtherGrant,
}

impl FromFields for LoginInput {
    fn from_fields(fields: &mut Fields) -> Self {
        match fields.form_text("grant_type").as_deref() {
            None | Some("password") => {
                let user = if fields.is_form() {
                    "username"
                } else {
                    "email"
                };
                Self::Password(Login {
                    email: fields.text(user),
                    password: fields.text("password"),
                })
            }
            Some("refresh_token") => Self::Refresh(fields.text("refresh_token")),
            Some(_) => Self::OtherGrant,
        }
    }
}

/// Sign in
///
/// Takes JSON, or the form of RFC 6749, section 4.3.2, that OAuth 2 clients and FastAPI's
/// `OAuth2PasswordRequestForm` send; as the token endpoint of such clients it takes their
/// `grant_type=refresh_token` too. An unknown address and a wrong password get the same answer
/// after the same work. Errors of a form are answered as RFC 6749, section 5.2, has them: status 400 with `error`.
#[utoipa::path(
    post,
    path = "/auth/login",
    operation_id = "login",
    tag = "Signing in",
    request_body(content((LoginRequest = "application/json"), (LoginForm = "application/x-www-form-urlencoded"))),
    params(("Countersign-Device" = Option<String>, Header, description = "By which the server knows the device: what the last sign-in on it was answered with. Browsers send a cookie instead.")),
    responses((status = 200, description = "Signed in.", body = TokensAnswer,
        headers(("Countersign-Device" = String, description = "Keep it, and send it with the next sign-in: a known device has a budget for wrong passwords of its own. Browsers keep it as a cookie.")))),
)]
pub(super) async fn login(
    State(edge): State<Edge>,
    Context(caller): Context,
    standings: Standings,
    JsonOrForm { input, form }: JsonOrForm<LoginInput>,
) -> Result<(HeaderMap, Answer<TokensAnswer>), Problem> {
    let answer = async {
        match input {
            LoginInput::Password(login) => {
                let signed_in = standings.of(edge.flows.login(&login, &caller).await)?;
                let device = device::given(&signed_in.device, edge.secure());
                Ok((device, signed_in.tokens))
            }
            LoginInput::Refresh(token) => {
                let tokens = standings.of(edge.flows.refresh(&token, &caller).await)?;
                Ok((HeaderMap::new(), tokens))
            }
            LoginInput::OtherGrant => Err(Problem::from(&UNSUPPORTED_GRANT_TYPE)),
        }
    };
    let answer: Result<_, Problem> = answer.await;
    let (device, tokens) = answer.map_err(|problem| problem.for_client(form))?;
    Ok((device, Answer(tokens.into())))
}
