//! The audit log: what use cases leave in it, how it gets its chain, and how it is read.

mod checks;
mod list;
mod recorder;
mod seal;
mod start;
mod trace;

use std::sync::Arc;

use countersign_domain::audit::{By, Details, Draft, Kind, Personal};
use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::{Act, Actor};
use jiff::Timestamp;

pub use checks::{Verified, VerifyError};
pub use list::{Event, EventFilter};
pub(crate) use recorder::Recorder;
pub use trace::{Explained, Explanation, Trace};

use crate::fault::Fault;
use crate::{Caller, Flows, random};

impl Flows {
    /// Something that is about to be done by `caller`, now. What it is about may be filled in.
    pub(crate) fn act(&self, kind: Kind, by: By, actor: Actor, caller: &Caller) -> Act {
        let now = self.clock.now();
        Act {
            actor,
            now,
            tokens_until: self.tokens_until(now),
            draft: self.draft(kind, by, caller, now),
            ink: Arc::clone(&self.ink),
            asker: None,
        }
    }

    /// Something that a user does through a session.
    pub(crate) fn act_of(&self, kind: Kind, session: SessionId, caller: &Caller) -> Act {
        let mut act = self.act(kind, By::Subject, Actor::Session(session), caller);
        act.draft.session = Some(session);
        act
    }

    /// Something that an operator does, or the server by itself.
    pub(crate) fn act_for(&self, kind: Kind, caller: &Caller) -> Act {
        let by = match &caller.operator {
            Some(name) => By::Operator(name.clone()),
            None => By::Server,
        };
        self.act(kind, by, Actor::Trusted, caller)
    }

    pub(crate) fn draft(&self, kind: Kind, by: By, caller: &Caller, now: Timestamp) -> Draft {
        Draft {
            id: EventId::new(now, random::bytes(&*self.random)),
            at: now,
            kind,
            reason: None,
            by,
            user: None,
            session: None,
            personal: Personal {
                ip: caller.ip,
                user_agent: caller.user_agent.clone(),
                request_id: Some(caller.request_id.clone()).filter(|id| !id.is_empty()),
            },
            details: Details::new(),
        }
    }

    /// Records something that no transaction of its own goes with. It is stored when this returns.
    pub(crate) async fn record(&self, draft: Draft) -> Result<(), Fault> {
        self.recorder.record(draft).await
    }

    /// Records a refusal. Where that fails, what was refused has been looked at all the same.
    pub(crate) async fn record_refusal(&self, draft: Draft) -> Result<(), Fault> {
        self.record(draft).await.map_err(|fault| match fault {
            Fault::Store(error) => Fault::Unrecorded(error),
            other => other,
        })
    }

    /// Records that somebody was refused who had to give a password.
    pub(crate) async fn record_refused_password(
        &self,
        user: UserId,
        session: SessionId,
        caller: &Caller,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let mut draft = self.draft(Kind::PasswordRefused, By::Subject, caller, now);
        (draft.user, draft.session) = (Some(user), Some(session));
        self.record_refusal(draft).await
    }

    /// Takes what is left of an erased user's addresses out of the log. The user is gone already, and with it what the
    /// addresses are encrypted with; this is about finding events by them.
    pub(crate) async fn forget_addresses(&self, user: UserId) {
        loop {
            match self.store.forget_addresses(user).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, %user, "some events are still found by an erased user's addresses");
                    return;
                }
            }
        }
    }

    /// Writes what waits to be written in the background. Called before the end.
    pub async fn flush_audit(&self) -> Result<(), Fault> {
        self.recorder.flush().await
    }
}
