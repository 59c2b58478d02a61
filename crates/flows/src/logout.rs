use countersign_domain::SessionId;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, Decision, EndReason, decide};
use countersign_store::{Actor, Ended, Scope, Session};

use crate::access::Authenticated;
use crate::fault::Fault;
use crate::refresh::RefreshError;
use crate::{Caller, Flows};

/// Which sessions a sign-out ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogoutScope {
    /// The session of the token.
    #[default]
    Local,
    /// All sessions of the user.
    Global,
    /// All sessions of the user but the token's.
    Others,
}

/// Why a sign-out was refused.
#[derive(Debug)]
pub enum LogoutError {
    /// The access token's session has ended already.
    SessionEnded,
    /// The refresh token's session is over, so it is not worth the user's other sessions.
    SessionOver(Dead),
    /// The refresh token is not one of ours.
    InvalidRefreshToken,
    /// The refresh token had been used before, which ended its own session; it is not worth the
    /// user's other sessions.
    RefreshTokenReused,
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for LogoutError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Signs out by access token. When this returns, no token of an ended session works here; on
    /// other instances within a second.
    pub async fn logout(&self, who: &Authenticated, scope: LogoutScope) -> Result<(), LogoutError> {
        let now = self.clock.now();
        let until = self.tokens_until(now);
        let (user, session) = (who.user(), who.session());
        let actor = Actor::Session(session);
        let ended = match beyond(scope, session) {
            None => {
                let reason = EndReason::Logout;
                self.store
                    .end_session(session, Some(user), reason, actor, now, until)
                    .await
            }
            Some(scope) => {
                let reason = EndReason::LogoutAll;
                self.store
                    .end_sessions(user, scope, reason, actor, now, until)
                    .await
            }
        };
        match ended.map_err(Fault::from)? {
            Ended::Ended(announcements) => {
                self.honour(&announcements);
                Ok(())
            }
            Ended::NotFound | Ended::ActorEnded => Err(LogoutError::SessionEnded),
        }
    }

    /// Signs out by refresh token, which is enough by itself. Any genuine token ends its own
    /// session, also once more, so that a retry after a lost answer is answered alike. Other sessions
    /// are ended only for a token that a refresh would accept.
    pub async fn logout_by_refresh_token(
        &self,
        token: &str,
        scope: LogoutScope,
        caller: &Caller,
    ) -> Result<(), LogoutError> {
        let presented = self
            .refresh_key
            .open(token)
            .ok_or(LogoutError::InvalidRefreshToken)?;
        let Some(beyond) = beyond(scope, presented.session) else {
            return self.end_own_session(presented).await;
        };
        let session = self.store.session(presented.session).await;
        let Some(session) = session.map_err(Fault::from)? else {
            return Ok(());
        };
        match decide(
            &session.state,
            presented.generation,
            self.clock.now(),
            &self.policy.rotation,
        ) {
            Decision::Rotate { .. } | Decision::Repeat { .. } => {
                self.end_many(&session, beyond).await
            }
            // A retry of what ended this session along with the others.
            Decision::Dead(Dead::Ended(EndReason::LogoutAll)) => Ok(()),
            Decision::Dead(dead) => Err(LogoutError::SessionOver(dead)),
            // Reuse is found, announced and recorded in one place.
            Decision::Reuse => match self.try_refresh(token, caller).await {
                Err(RefreshError::Fault(fault)) => Err(fault.into()),
                _ => Err(LogoutError::RefreshTokenReused),
            },
        }
    }

    async fn end_own_session(&self, presented: Presented) -> Result<(), LogoutError> {
        let now = self.clock.now();
        let until = self.tokens_until(now);
        let (id, reason) = (presented.session, EndReason::Logout);
        let ending = self
            .store
            .end_session(id, None, reason, Actor::Trusted, now, until);
        if let Ended::Ended(announcements) = ending.await.map_err(Fault::from)? {
            self.honour(&announcements);
            // Also where a first try ended it whose answer, and honouring, was lost.
            self.revocations.end_session(id.0, until.as_second());
        }
        Ok(())
    }

    async fn end_many(&self, session: &Session, scope: Scope) -> Result<(), LogoutError> {
        let now = self.clock.now();
        let until = self.tokens_until(now);
        let (user, actor) = (session.user_id, Actor::Session(session.id));
        let ending = self
            .store
            .end_sessions(user, scope, EndReason::LogoutAll, actor, now, until);
        // An actor that has ended meanwhile ends nothing; its sign-out was the later of two.
        if let Ended::Ended(announcements) = ending.await.map_err(Fault::from)? {
            self.honour(&announcements);
        }
        Ok(())
    }
}

/// What a sign-out ends beyond the token's own session; `None`: just that one.
fn beyond(scope: LogoutScope, own: SessionId) -> Option<Scope> {
    match scope {
        LogoutScope::Local => None,
        LogoutScope::Global => Some(Scope::All),
        LogoutScope::Others => Some(Scope::AllBut(own)),
    }
}
