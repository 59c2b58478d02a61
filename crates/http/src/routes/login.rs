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
    #[schema(example = "ada@example.org")]
    username: String,
    /// The password.
    #[schema(example = "correct horse battery staple", format = "password")]
    password: String,
    /// `password`, if it is sent at all.
    #[schema(example = "password", pattern = "^password$", nullable = false)]
    grant_type: Option<String>,
    /// Accepted and answered with the granted scope, which is empty in this version.
    #[schema(nullable = false)]
    scope: Option<String>,
}

/// The JSON body has `email`, the form `username`; each takes only its own.
pub(super) struct LoginInput {
    login: Login,
    grant_type: Option<String>,
}

impl FromFields for LoginInput {
    fn from_fields(fields: &mut Fields) -> Self {
        let user = if fields.is_form() {
            "username"
        } else {
            "email"
        };
        Self {
            login: Login {
                email: fields.text(user),
                password: fields.text("password"),
            },
            grant_type: fields.form_text("grant_type"),
        }
    }
}

/// Sign in
///
/// Takes JSON, or the form of RFC 6749, section 4.3.2, that OAuth 2 clients and FastAPI's
/// `OAuth2PasswordRequestForm` send. An unknown address and a wrong password get the same answer
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
        if input.grant_type.is_some_and(|grant| grant != "password") {
            return Err(Problem::from(&UNSUPPORTED_GRANT_TYPE));
        }
        let counted = edge.flows.login(&input.login, &caller).await;
        Ok(standings.of(counted)?)
    };
    let signed_in = answer.await.map_err(|problem| problem.for_client(form))?;
    let device = device::given(&signed_in.device, edge.secure());
    Ok((device, Answer(signed_in.tokens.into())))
}
