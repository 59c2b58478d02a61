use countersign_domain::rotation::EndReason;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Actor, Ended, Session};
use jiff::Timestamp;

use crate::Flows;
use crate::access::Authenticated;
use crate::fault::Fault;

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
    SessionEnded,
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
    ) -> Result<(), SessionError> {
        let now = self.clock.now();
        let until = self.tokens_until(now);
        let (owner, actor) = (Some(who.user()), Actor::Session(who.session()));
        let ending = self
            .store
            .end_session(id, owner, EndReason::Revoked, actor, now, until);
        self.ended(ending.await.map_err(Fault::from)?)
    }

    /// Ends any session, for operators.
    pub async fn end_any_session(&self, id: SessionId) -> Result<(), SessionError> {
        let now = self.clock.now();
        let until = self.tokens_until(now);
        let ending =
            self.store
                .end_session(id, None, EndReason::Operator, Actor::Trusted, now, until);
        self.ended(ending.await.map_err(Fault::from)?)
    }

    fn ended(&self, ended: Ended) -> Result<(), SessionError> {
        match ended {
            Ended::Ended(announcements) => {
                self.honour(&announcements);
                Ok(())
            }
            Ended::NotFound => Err(SessionError::NotFound),
            Ended::ActorEnded => Err(SessionError::SessionEnded),
        }
    }
}
