//! The one table from outcome to HTTP answer (RFC 9457).
//!
//! Handlers answer with a [`Problem`]; the edge writes it down, once it knows the request's id.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use countersign_flows::{
    DeleteAccountError, Fault, FieldError, LoginError, LogoutError, PasswordChangeError,
    ProfileError, RefreshError, RegistrationError, ServiceRefusal, SessionError, TokenRefusal,
    Trace,
};
use countersign_store::StoreError;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::standings::seconds;

/// A kind of problem: what never changes about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: &'static str,
    /// The `error` of RFC 6749, section 5.2, where a form was posted. For too many attempts that of
    /// RFC 8628, section 3.5: the only registered one that asks a client of the token endpoint to come back later.
    pub(crate) oauth: &'static str,
    /// What a 401 says about how to authenticate.
    pub(crate) challenge: Option<&'static str>,
}

macro_rules! kinds {
    ($($name:ident $status:literal $code:literal $oauth:literal $challenge:expr, $title:literal, $detail:literal;)*) => {
        $(pub(crate) const $name: Kind = Kind {
            code: $code,
            status: $status,
            title: $title,
            detail: $detail,
            oauth: $oauth,
            challenge: $challenge,
        };)*
        /// Every kind.
        #[cfg(test)]
        pub(crate) const ALL: &[&Kind] = &[$(&$name),*];
    };
}

const NO: Option<&str> = None;
const PASSWORD: Option<&str> = Some("Bearer");
const TOKEN: Option<&str> = Some("Bearer error=\"invalid_token\"");

kinds! {
    MALFORMED_REQUEST 400 "malformed_request" "invalid_request" NO, "The request cannot be read", "The body is not valid JSON.";
    UNSUPPORTED_GRANT_TYPE 400 "unsupported_grant_type" "unsupported_grant_type" NO, "The grant type is not supported", "This route does not take that `grant_type`.";
    MISSING_TOKEN 401 "missing_token" "invalid_request" TOKEN, "An access token is needed", "Send the access token as `Authorization: Bearer <token>`.";
    INVALID_TOKEN 401 "invalid_token" "invalid_token" TOKEN, "The access token is not valid", "It is malformed, was not issued by this server, or is not meant for it.";
    TOKEN_EXPIRED 401 "token_expired" "invalid_token" TOKEN, "The access token has expired", "Use the refresh token to get a new one.";
    TOKEN_OUTDATED 401 "token_outdated" "invalid_token" TOKEN, "The access token is out of date", "What it says of its user has changed. Use the refresh token to get a new one.";
    ACCESS_SESSION_REVOKED 401 "session_revoked" "invalid_token" TOKEN, "The session has ended", "Its tokens no longer work. Sign in again.";
    MISSING_SERVICE_KEY 401 "missing_service_key" "invalid_request" TOKEN, "A service key is needed", "Send the service key as `Authorization: Bearer <key>`.";
    INVALID_SERVICE_KEY 401 "invalid_service_key" "invalid_token" TOKEN, "The service key is not valid", "It is unknown, was revoked, or has expired. An operator makes a new one with `countersign service-key create`.";
    INVALID_CREDENTIALS 401 "invalid_credentials" "invalid_grant" PASSWORD, "The e-mail address or the password is wrong", "There is no account with this e-mail address and password.";
    INVALID_REFRESH_TOKEN 401 "invalid_refresh_token" "invalid_grant" TOKEN, "The refresh token is not valid", "It was not issued by this server, or its session is long gone. Sign in again.";
    SESSION_EXPIRED 401 "session_expired" "invalid_grant" TOKEN, "The session has expired", "It was not used for too long, or has reached its greatest age. Sign in again.";
    SESSION_REVOKED 401 "session_revoked" "invalid_grant" TOKEN, "The session has ended", "Its tokens no longer work. Sign in again.";
    REFRESH_TOKEN_REUSED 401 "refresh_token_reused" "invalid_grant" TOKEN, "The refresh token had been used before", "A used refresh token was presented again, which means that somebody holds a copy. The session has been ended. Sign in again.";
    ACCOUNT_DISABLED 403 "account_disabled" "invalid_grant" NO, "The account is disabled", "An operator has disabled this account.";
    WRONG_CURRENT_PASSWORD 403 "invalid_credentials" "invalid_grant" NO, "The current password is wrong", "The password was not changed.";
    REAUTHENTICATION_REQUIRED 403 "reauthentication_required" "invalid_grant" NO, "The password is needed once more", "Send the account's right `password` to delete it.";
    FORBIDDEN 403 "forbidden" "unauthorized_client" NO, "You may not do this", "It needs the role `admin`.";
    INSUFFICIENT_SCOPE 403 "insufficient_scope" "insufficient_scope" NO, "The service key is not meant for this", "An operator makes one that is with `countersign service-key create --scope feed`.";
    NOT_FOUND 404 "not_found" "invalid_request" NO, "There is nothing here", "No route has this path.";
    SESSION_NOT_FOUND 404 "session_not_found" "invalid_request" NO, "There is no such session", "None of your sessions has this id.";
    METHOD_NOT_ALLOWED 405 "method_not_allowed" "invalid_request" NO, "The method is not allowed here", "`Allow` lists those that are.";
    REQUEST_TIMEOUT 408 "request_timeout" "invalid_request" NO, "The request took too long to arrive", "The body must arrive within 10 seconds.";
    EMAIL_TAKEN 409 "email_taken" "invalid_request" NO, "The e-mail address is taken", "An account with this e-mail address exists.";
    BODY_TOO_LARGE 413 "body_too_large" "invalid_request" NO, "The body is too large", "A body has at most 65,536 bytes.";
    UNSUPPORTED_MEDIA_TYPE 415 "unsupported_media_type" "invalid_request" NO, "The media type is not supported", "Send `Content-Type: application/json`.";
    VALIDATION_FAILED 422 "validation_failed" "invalid_request" NO, "Some fields are not valid", "See `errors`.";
    RATE_LIMITED 429 "rate_limited" "slow_down" NO, "Too many attempts", "Try again after the time in `Retry-After`.";
    INTERNAL 500 "internal_error" "server_error" NO, "Something went wrong", "The fault is the server's. Its log has more under this request id.";
    OVERLOADED 503 "overloaded" "temporarily_unavailable" NO, "Too many sign-ins at once", "Try again after the time in `Retry-After`.";
    FEED_FULL 503 "feed_full" "temporarily_unavailable" NO, "Too many follow the feed already", "Try again after the time in `Retry-After`, on another instance if there is one. Meanwhile, count the feed as stale.";
    UNAVAILABLE 503 "unavailable" "temporarily_unavailable" NO, "The server cannot do this right now", "Its storage does not answer. Nothing was changed; try again after the time in `Retry-After`.";
}

/// How long to wait for a store that does not answer.
const STORE_RETRY: Duration = Duration::from_secs(2);

/// How long to wait for a place in the feed.
const FEED_RETRY: Duration = Duration::from_secs(5);

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: &'static Kind,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    extra: Map<String, Value>,
    as_oauth: bool,
    /// What went wrong inside: for the log alone.
    cause: Option<Box<str>>,
}

impl From<&'static Kind> for Problem {
    fn from(kind: &'static Kind) -> Self {
        Self {
            kind,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            extra: Map::new(),
            as_oauth: false,
            cause: None,
        }
    }
}

impl Problem {
    /// No place is free in the feed.
    pub(crate) fn feed_full() -> Self {
        Self::from(&FEED_FULL).retry_after(FEED_RETRY)
    }

    pub(crate) fn fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::from(&VALIDATION_FAILED)
        }
    }

    /// Says more than the kind does. Never put into it what a client sent.
    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    pub(crate) fn with(mut self, member: &str, value: Value) -> Self {
        self.extra.insert(member.to_owned(), value);
        self
    }

    /// Says what a refused token was, so that `countersign session explain` can tell why.
    fn trace(self, trace: Trace) -> Self {
        let problem = self.with("session_id", trace.session.to_string().into());
        match trace.event {
            Some(event) => problem.with("event_id", event.to_string().into()),
            None => problem,
        }
    }

    pub(crate) fn retry_after(self, after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..self
        }
    }

    fn because(self, cause: impl ToString) -> Self {
        Self {
            cause: Some(cause.to_string().into()),
            ..self
        }
    }

    /// For clients that posted a form and expect RFC 6749, section 5.2.
    pub(crate) fn into_oauth(self) -> Self {
        Self {
            as_oauth: true,
            ..self
        }
    }

    /// As the client expects it that posted a form, or JSON.
    pub(crate) fn for_client(self, form: bool) -> Self {
        if form { self.into_oauth() } else { self }
    }

    /// The answer, now that the request's id is known.
    pub(crate) fn write(self, request_id: &str) -> Response {
        match &self.cause {
            Some(cause) if *self.kind == UNAVAILABLE => {
                tracing::warn!(cause, request_id, "storage unavailable");
            }
            Some(cause) => tracing::error!(cause, request_id, "internal error"),
            None => {}
        }
        let status = match (self.as_oauth, self.kind.status) {
            (true, 401..=422) => StatusCode::BAD_REQUEST,
            (_, status) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        let media_type = match self.as_oauth {
            true => "application/json",
            false => "application/problem+json",
        };
        let body = self.body(status, request_id);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Some(challenge) = self
            .kind
            .challenge
            .filter(|_| status == StatusCode::UNAUTHORIZED)
        {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(after).max(1)));
        }
        response
    }

    /// What to do about it: the fields and what is wrong with them, where there are any. All that
    /// the users of an OAuth 2 library get to see.
    fn summary(&self) -> String {
        let fields = self
            .errors
            .iter()
            .map(|error| format!("`{}`: {}", error.field, error.detail));
        match self.errors.is_empty() {
            true => self.kind.detail.to_owned(),
            false => fields.collect::<Vec<_>>().join("; "),
        }
    }

    fn body(&self, status: StatusCode, request_id: &str) -> String {
        let detail = self.detail.clone().unwrap_or_else(|| self.summary());
        let detail = detail.as_str();
        let oauth = self.as_oauth.then_some(self.kind.oauth);
        let body = ProblemBody {
            r#type: format!("/problems/{}", self.kind.code),
            title: self.kind.title,
            status: status.as_u16(),
            detail,
            code: self.kind.code,
            request_id,
            errors: self.errors.iter().map(FieldProblem::from).collect(),
            error: oauth,
            error_description: oauth.map(|_| detail),
            extra: &self.extra,
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// An error, as RFC 9457 wants it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// A stable URI reference for this kind of problem.
    #[schema(example = "/problems/validation_failed")]
    r#type: String,
    /// What the problem is, in a few words.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What to do about it.
    detail: &'a str,
    /// A stable code for programs.
    code: &'a str,
    /// The request's id, as in `X-Request-Id` and in the server's log.
    request_id: &'a str,
    /// The fields that were not accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem<'a>>,
    /// For clients that posted a form: the error code of RFC 6749, section 5.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<&'a str>,
    /// For clients that posted a form: the same as `detail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error_description: Option<&'a str>,
    #[serde(flatten)]
    #[schema(ignore)]
    extra: &'a Map<String, Value>,
}

/// A field that was not accepted.
#[derive(Serialize, ToSchema)]
#[schema(as = FieldProblem)]
pub(crate) struct FieldProblem<'a> {
    /// The field's name.
    #[schema(example = "password")]
    field: &'a str,
    /// A stable code for programs.
    #[schema(example = "password_too_short")]
    code: &'a str,
    /// What would be accepted.
    #[schema(example = "at least 8 characters")]
    detail: &'a str,
}

impl<'a> From<&'a FieldError> for FieldProblem<'a> {
    fn from(error: &'a FieldError) -> Self {
        Self {
            field: error.field,
            code: error.code,
            detail: &error.detail,
        }
    }
}

/// A problem on its way to the edge, which writes it down.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        *response.status_mut() =
            StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Overloaded(overloaded) => {
                Self::from(&OVERLOADED).retry_after(overloaded.retry_after)
            }
            Fault::Limited(limited) => {
                Self::from(&RATE_LIMITED).retry_after(limited.standing.reset)
            }
            Fault::Store(StoreError::Unavailable(reason))
            | Fault::Unrecorded(StoreError::Unavailable(reason)) => Self::from(&UNAVAILABLE)
                .retry_after(STORE_RETRY)
                .because(reason),
            fault => Self::from(&INTERNAL).because(fault),
        }
    }
}

impl From<TokenRefusal> for Problem {
    fn from(refusal: TokenRefusal) -> Self {
        match refusal {
            TokenRefusal::Invalid(reason) => {
                tracing::debug!(%reason, "access token refused");
                Self::from(&INVALID_TOKEN)
            }
            TokenRefusal::Expired(trace) => Self::from(&TOKEN_EXPIRED).trace(trace),
            TokenRefusal::Revoked(trace) => Self::from(&ACCESS_SESSION_REVOKED).trace(trace),
            TokenRefusal::Outdated(trace) => Self::from(&TOKEN_OUTDATED).trace(trace),
        }
    }
}

impl From<ServiceRefusal> for Problem {
    fn from(refusal: ServiceRefusal) -> Self {
        match refusal {
            ServiceRefusal::Invalid => Self::from(&INVALID_SERVICE_KEY),
            ServiceRefusal::OutOfScope => Self::from(&INSUFFICIENT_SCOPE),
        }
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Invalid(errors) => Self::fields(errors),
            RegistrationError::EmailTaken => Self::from(&EMAIL_TAKEN),
            RegistrationError::Fault(fault) => fault.into(),
        }
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::InvalidCredentials => Self::from(&INVALID_CREDENTIALS),
            LoginError::AccountDisabled => Self::from(&ACCOUNT_DISABLED),
            LoginError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid(None) => Self::from(&INVALID_REFRESH_TOKEN),
            RefreshError::Invalid(Some(trace)) => Self::from(&INVALID_REFRESH_TOKEN).trace(trace),
            RefreshError::Expired(trace) => Self::from(&SESSION_EXPIRED).trace(trace),
            RefreshError::Revoked(trace) => Self::from(&SESSION_REVOKED).trace(trace),
            RefreshError::Reused(trace) => Self::from(&REFRESH_TOKEN_REUSED).trace(trace),
            RefreshError::Fault(fault) => fault.into(),
        }
    }
}

impl From<LogoutError> for Problem {
    fn from(error: LogoutError) -> Self {
        match error {
            LogoutError::SessionEnded(trace) => Self::from(&ACCESS_SESSION_REVOKED).trace(trace),
            LogoutError::RefreshToken(refused) => refused.into(),
            LogoutError::Fault(fault) => fault.into(),
        }
    }
}

impl From<ProfileError> for Problem {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Invalid(errors) => Self::fields(errors),
            ProfileError::SessionEnded(trace) => Self::from(&ACCESS_SESSION_REVOKED).trace(trace),
            ProfileError::Fault(fault) => fault.into(),
        }
    }
}

impl From<PasswordChangeError> for Problem {
    fn from(error: PasswordChangeError) -> Self {
        match error {
            PasswordChangeError::WrongPassword => Self::from(&WRONG_CURRENT_PASSWORD),
            PasswordChangeError::Invalid(errors) => Self::fields(errors),
            PasswordChangeError::SessionEnded(trace) => {
                Self::from(&ACCESS_SESSION_REVOKED).trace(trace)
            }
            PasswordChangeError::Fault(fault) => fault.into(),
        }
    }
}

impl From<DeleteAccountError> for Problem {
    fn from(error: DeleteAccountError) -> Self {
        match error {
            DeleteAccountError::WrongPassword => Self::from(&REAUTHENTICATION_REQUIRED),
            DeleteAccountError::SessionEnded(trace) => {
                Self::from(&ACCESS_SESSION_REVOKED).trace(trace)
            }
            DeleteAccountError::Fault(fault) => fault.into(),
        }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotFound => Self::from(&SESSION_NOT_FOUND),
            SessionError::SessionEnded(trace) => Self::from(&ACCESS_SESSION_REVOKED).trace(trace),
            SessionError::Fault(fault) => fault.into(),
        }
    }
}
