use countersign_domain::audit::Kind;
use countersign_domain::rotation::EndReason;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Ended, Session};
use jiff::Timestamp;

use crate::access::Authenticated;
use crate::audit::Trace;
use crate::fault::Fault;
use crate::{Caller, Flows};

/// One page of a list.
#[derive(Debug)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; `None`: this was the last.
    pub next: Option<C>,
}

/// Why a session was not ended.
#[derive(Debug)]
pub enum SessionError {
    /// The user has no such session.
    NotFound,
    /// The acting session has ended.
    SessionEnded(Trace),
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for SessionError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Live sessions of a user, newest first.
    pub async fn sessions(
        &self,
        user: UserId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
    ) -> Result<Page<Session, (Timestamp, SessionId)>, Fault> {
        let now = self.clock.now();
        let mut items = self
            .store
            .live_sessions(user, after, limit + 1, now)
            .await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(|s| (s.created_at, s.id));
        Ok(Page { items, next })
    }

    /// Ends one of the signed-in user's sessions; ending an ended one again is fine.
    pub async fn end_session(
        &self,
        who: &Authenticated,
        id: SessionId,
        caller: &Caller,
    ) -> Result<(), SessionError> {
        let act = self.act_of(Kind::SessionRevoked, who.session(), caller);
        let (owner, reason) = (Some(who.user()), EndReason::Revoked);
        let ending = self.store.end_session(id, owner, reason, &act);
        match self.ended(ending.await.map_err(Fault::from)?) {
            Some(result) => result,
            None => Err(SessionError::SessionEnded(self.trace(who.session()).await?)),
        }
    }

    /// Ends any session, for operators.
    pub async fn end_any_session(
        &self,
        id: SessionId,
        caller: &Caller,
    ) -> Result<(), SessionError> {
        let act = self.act_for(Kind::SessionRevoked, caller);
        let ending = self.store.end_session(id, None, EndReason::Operator, &act);
        let ended = self.ended(ending.await.map_err(Fault::from)?);
        // No session acts here that could have ended.
        ended.unwrap_or(Err(SessionError::NotFound))
    }

    /// `None`: the acting session has ended.
    fn ended(&self, ended: Ended) -> Option<Result<(), SessionError>> {
        match ended {
            Ended::Ended(announcements) => {
                self.honour(&announcements);
                Some(Ok(()))
            }
            Ended::NotFound => Some(Err(SessionError::NotFound)),
            Ended::ActorEnded => None,
        }
    }
}
