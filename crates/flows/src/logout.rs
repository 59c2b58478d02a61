use countersign_domain::SessionId;
use countersign_domain::audit::Kind;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, Decision, EndReason, decide};
use countersign_domain::security_events::{Ends, SecurityEvent};
use countersign_store::{Act, Actor, Ended, Scope, Session};

use crate::access::Authenticated;
use crate::audit::Trace;
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
    SessionEnded(Trace),
    /// The refresh token is one that a refresh would refuse, so it is not worth the user's other
    /// sessions.
    RefreshToken(RefreshError),
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
    pub async fn logout(
        &self,
        who: &Authenticated,
        scope: LogoutScope,
        caller: &Caller,
    ) -> Result<(), LogoutError> {
        let (user, session) = (who.user(), who.session());
        let act = self.sign_out(session, scope, caller);
        let ended = match beyond(scope, session) {
            None => {
                let reason = EndReason::Logout;
                self.store
                    .end_session(session, Some(user), reason, &act)
                    .await
            }
            Some(scope) => {
                let reason = EndReason::LogoutAll;
                self.store.end_sessions(user, scope, reason, &act).await
            }
        };
        match ended.map_err(Fault::from)? {
            Ended::Ended(announcements) => {
                self.honour(&announcements);
                Ok(())
            }
            Ended::NotFound | Ended::ActorEnded => {
                Err(LogoutError::SessionEnded(self.trace(session).await?))
            }
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
            .ok_or(LogoutError::RefreshToken(RefreshError::Invalid(None)))?;
        let Some(beyond) = beyond(scope, presented.session) else {
            return self.end_own_session(presented, caller).await;
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
                self.end_many(&session, scope, beyond, caller).await
            }
            // A retry of what ended this session along with the others.
            Decision::Dead(Dead::Ended(EndReason::LogoutAll)) => Ok(()),
            Decision::Dead(dead) => {
                let trace = Trace {
                    session: session.id,
                    event: session.ended_by,
                };
                let refused = self.refused(dead, session.user_id, trace, caller);
                Err(LogoutError::RefreshToken(refused))
            }
            // Reuse is found, announced and recorded in one place.
            Decision::Reuse => match self.try_refresh(token, caller, None).await {
                Err(RefreshError::Fault(fault)) => Err(fault.into()),
                Err(refused) => Err(LogoutError::RefreshToken(refused)),
                // It was found to be reused a moment ago, and generations only grow.
                Ok(_) => Err(LogoutError::RefreshToken(RefreshError::Invalid(None))),
            },
        }
    }

    async fn end_own_session(
        &self,
        presented: Presented,
        caller: &Caller,
    ) -> Result<(), LogoutError> {
        let (id, reason) = (presented.session, EndReason::Logout);
        let mut act = self.sign_out(id, LogoutScope::Local, caller);
        act.actor = Actor::Trusted;
        let until = act.tokens_until;
        let ending = self.store.end_session(id, None, reason, &act);
        if let Ended::Ended(announcements) = ending.await.map_err(Fault::from)? {
            self.honour(&announcements);
            // Also where a first try ended it whose answer, and honouring, was lost.
            let event = self.trace(id).await?.event.map(|event| event.0);
            self.revocations.end_session(id.0, until.as_second(), event);
        }
        Ok(())
    }

    async fn end_many(
        &self,
        session: &Session,
        scope: LogoutScope,
        beyond: Scope,
        caller: &Caller,
    ) -> Result<(), LogoutError> {
        let act = self.sign_out(session.id, scope, caller);
        let (user, reason) = (session.user_id, EndReason::LogoutAll);
        let ending = self.store.end_sessions(user, beyond, reason, &act);
        // An actor that has ended meanwhile ends nothing; its sign-out was the later of two.
        if let Ended::Ended(announcements) = ending.await.map_err(Fault::from)? {
            self.honour(&announcements);
        }
        Ok(())
    }
}

impl Flows {
    fn sign_out(&self, session: SessionId, scope: LogoutScope, caller: &Caller) -> Act {
        let mut act = self.act_of(Kind::LoggedOut, session, caller);
        let scope = match scope {
            LogoutScope::Local => "local",
            LogoutScope::Global => "global",
            LogoutScope::Others => "others",
        };
        act.draft.details.insert("scope".to_owned(), scope.into());
        act
    }
}

/// What a sign-out ends beyond the token's own session; `None`: just that one.
fn beyond(scope: LogoutScope, own: SessionId) -> Option<Scope> {
    let event = match scope {
        LogoutScope::Local => SecurityEvent::LogoutLocal,
        LogoutScope::Global => SecurityEvent::LogoutGlobal,
        LogoutScope::Others => SecurityEvent::LogoutOthers,
    };
    match event.ends() {
        Ends::All => Some(Scope::All),
        Ends::Others => Some(Scope::AllBut(own)),
        _ => None,
    }
}
