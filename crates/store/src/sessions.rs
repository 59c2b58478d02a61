use std::net::IpAddr;

use async_trait::async_trait;
use countersign_domain::password::PasswordHash;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, EndReason, RotationPolicy, SessionState};
use countersign_domain::{EventId, SessionId, UserId};
use jiff::Timestamp;

use crate::{Act, Announcement, StoreError, User};

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// What decides about its refresh tokens.
    pub state: SessionState,
    /// When the user signed in.
    pub created_at: Timestamp,
    /// When it was last refreshed, or else opened.
    pub last_used_at: Timestamp,
    /// The client's address at sign-in.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent` at sign-in.
    pub user_agent: Option<String>,
    /// How the user signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
    /// The event that ended it.
    pub ended_by: Option<EventId>,
}

/// A session to be opened at generation 0.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The id to give.
    pub id: SessionId,
    /// Whose it will be.
    pub user_id: UserId,
    /// When it ends unless refreshed.
    pub idle_expires_at: Timestamp,
    /// When it ends in any case.
    pub expires_at: Timestamp,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// How the user signed in (RFC 8176).
    pub amr: Vec<String>,
}

/// How many live sessions a user may have. A further sign-in ends the oldest with the reason
/// [`EndReason::TooMany`]: without a bound, whoever knows a password could open so many that ending them
/// all takes longer than a request may.
pub const MAX_SESSIONS: u32 = 100;

/// What a sign-in rests on.
#[derive(Clone, Debug)]
pub struct SignInProof {
    /// The stored hash that the password was right for. The session is opened only while it is
    /// still the stored one and the account is enabled.
    pub password_hash: String,
    /// A better hash of the same password to store instead.
    pub rehash: Option<PasswordHash>,
}

/// The outcome of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The session is live, and its user is as given at that moment. Where the user had too many, the oldest ended for it.
    Opened(Session, User, Vec<Announcement>),
    /// The proof no longer holds: the password was changed or rehashed, or the account was
    /// disabled or deleted, since the credentials were read. Nothing was stored.
    ProofStale,
}

/// The outcome of presenting a genuine refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The session goes on.
    Refreshed(Box<Refreshed>),
    /// An old token was used again; the session has been closed for [`EndReason::Reuse`], or was
    /// by somebody else at the same moment.
    Reused {
        /// Whose session it was.
        user_id: UserId,
        /// The event that closed it.
        event: Option<EventId>,
        /// What was announced.
        announcements: Vec<Announcement>,
    },
    /// The session is over.
    Dead {
        /// Why.
        dead: Dead,
        /// Whose it was.
        user_id: UserId,
        /// The event that ended it; `None` where it expired.
        event: Option<EventId>,
    },
    /// There is no such session: it was deleted with its user, or long ago.
    Unknown,
}

/// What a session's tokens are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// What decides about its refresh tokens.
    pub state: SessionState,
    /// How the user signed in (RFC 8176).
    pub amr: Vec<String>,
    /// When the user last proved who they are.
    pub auth_time: Timestamp,
    /// The user's roles.
    pub roles: Vec<String>,
}

impl Grant {
    /// What the tokens of a session are made of.
    pub fn new(session: &Session, user: &User) -> Self {
        Self {
            session: session.id,
            user: session.user_id,
            state: session.state,
            amr: session.amr.clone(),
            auth_time: session.auth_time,
            roles: user.roles.clone(),
        }
    }
}

/// A session that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The session as it is now, and its user's roles; `state.generation` is the generation to answer with.
    pub grant: Grant,
    /// `false`: the same successor was given again within the grace period.
    pub rotated: bool,
    /// The stored state had been behind the genuine token.
    pub adopted: bool,
}

/// Which sessions of a user to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    All,
    /// All but this one.
    AllBut(SessionId),
}

/// The outcome of ending sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// They are over now; empty where none was live.
    Ended(Vec<Announcement>),
    /// No such session (of that user).
    NotFound,
    /// The acting session is over; nothing was changed.
    ActorEnded,
}

/// Sessions. Every method that changes one is atomic and durable when it returns.
#[async_trait]
pub trait Sessions {
    /// Opens a session, stores the better hash if there is one, and notes the time of sign-in, all
    /// in one transaction, if the proof still holds. Serialised against password change, disabling and deletion of the
    /// same user: whichever commits first decides, and no session outlives the password it was opened with.
    /// Ends the oldest sessions beyond [`MAX_SESSIONS`].
    async fn open_session(
        &self,
        new: &NewSession,
        proof: &SignInProof,
        act: &Act,
    ) -> Result<Opened, StoreError>;

    /// Applies [`countersign_domain::rotation::decide`] to the stored state and makes its outcome
    /// durable, atomically: of any number of concurrent calls with one token, on any number of instances, one rotates and
    /// the others are given the same successor (or the outcome that the table says). A session that was ended by an acknowledged
    /// call never rotates. After an error nothing was consumed that the same token cannot recover. The act is that of
    /// closing the session for reuse; refreshing leaves no event here.
    async fn refresh(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        act: &Act,
    ) -> Result<RefreshOutcome, StoreError>;

    /// The session with this id, ended or not.
    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// Live sessions of a user, newest first, after the one that `after` names by its creation
    /// time and id; at most `limit`.
    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError>;

    /// Ends one session. `owner` restricts it to sessions of that user. Ending an ended session is
    /// [`Ended::Ended`] with no announcements, and keeps the first reason.
    async fn end_session(
        &self,
        id: SessionId,
        owner: Option<UserId>,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError>;

    /// Ends the live sessions of a user in one transaction. One that has idled out, but not reached
    /// its greatest age, counts as live: an instance whose clock is behind might still refresh it.
    /// [`Ended::NotFound`]: no such user.
    async fn end_sessions(
        &self,
        user: UserId,
        scope: Scope,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError>;
}
