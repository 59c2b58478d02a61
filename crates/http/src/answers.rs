//! What goes out over the wire.

use countersign_flows::Tokens;
use countersign_store::{Session, User};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserAnswer<'a> {
    /// The user's id, for life.
    id: Uuid,
    /// The e-mail address as the user typed it.
    #[schema(example = "ada@example.org")]
    email: &'a str,
    /// Whether the address was shown to be the user's.
    email_verified: bool,
    /// The display name.
    #[schema(required = true, example = "Ada")]
    name: Option<&'a str>,
    /// Role names.
    roles: &'a [String],
    /// Whether an operator has disabled the account.
    disabled: bool,
    /// When the user registered.
    created_at: Timestamp,
    /// When anything above last changed.
    updated_at: Timestamp,
}

impl<'a> From<&'a User> for UserAnswer<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id.0,
            email: &user.email,
            email_verified: user.email_verified_at.is_some(),
            name: user.name.as_deref(),
            roles: &user.roles,
            disabled: user.disabled_at.is_some(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// A session of the signed-in user.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionAnswer {
    /// The session's id: the `sid` claim of its access tokens.
    id: Uuid,
    /// When the user signed in.
    created_at: Timestamp,
    /// When it was last refreshed, or else opened.
    last_used_at: Timestamp,
    /// When it ends unless it is refreshed before.
    expires_at: Timestamp,
    /// The client's address at sign-in.
    #[schema(required = true, example = "203.0.113.7")]
    ip: Option<String>,
    /// The client's `User-Agent` at sign-in.
    #[schema(required = true, example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// Whether the request was made with a token of this session.
    current: bool,
}

impl SessionAnswer {
    pub(crate) fn new(session: Session, current: bool) -> Self {
        Self {
            id: session.id.0,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.state.refresh_expires_at(),
            ip: session.ip.map(|ip| ip.to_string()),
            user_agent: session.user_agent,
            current,
        }
    }
}

/// One page of sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionList)]
pub(crate) struct SessionListAnswer {
    /// The sessions, newest first.
    pub(crate) items: Vec<SessionAnswer>,
    /// Give this as `cursor` for the next page; `null`: this is the last one.
    #[schema(required = true)]
    pub(crate) next_cursor: Option<String>,
}

/// Tokens, as RFC 6749, section 5.1, has them.
#[derive(Serialize, ToSchema)]
#[schema(as = Tokens)]
pub(crate) struct TokensAnswer {
    /// A signed JWT (RFC 9068) for the APIs.
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds until the access token expires.
    #[schema(example = 900)]
    expires_in: i64,
    /// Valid once: exchange it at `/auth/refresh`.
    #[schema(example = "cs_rt_…")]
    refresh_token: String,
    /// Seconds until the refresh token expires unless it is used.
    #[schema(example = 2_592_000)]
    refresh_expires_in: i64,
    /// The granted scope. No scopes are defined in this version, so none are granted.
    #[schema(example = "")]
    scope: String,
}

impl From<Tokens> for TokensAnswer {
    fn from(tokens: Tokens) -> Self {
        Self {
            access_token: tokens.access_token,
            token_type: "Bearer",
            expires_in: tokens.expires_in,
            refresh_token: tokens.refresh_token.expose().to_owned(),
            refresh_expires_in: tokens.refresh_expires_in,
            scope: tokens.scope,
        }
    }
}
