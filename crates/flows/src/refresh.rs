use std::sync::{Arc, Weak};

use countersign_domain::UserId;
use countersign_domain::audit::{By, Kind};
use countersign_domain::rotation::{Dead, EndReason};
use countersign_store::{Act, Actor, RefreshOutcome, Refreshed, StoreError};

use crate::access::Tokens;
use crate::audit::Trace;
use crate::fault::Fault;
use crate::limits::Counted;
use crate::{Caller, Flows};

/// Why a refresh token was refused.
#[derive(Debug)]
pub enum RefreshError {
    /// It is not a token of ours, or its session is long gone: then it has a trace.
    Invalid(Option<Trace>),
    /// The session was not used for too long, or has reached its greatest age.
    Expired(Trace),
    /// The session has been ended.
    Revoked(Trace),
    /// The token had been used before, so somebody holds a copy; the session has been ended.
    Reused(Trace),
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for RefreshError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Exchanges a refresh token for its successor and a new access token.
    pub async fn refresh(
        self: &Arc<Self>,
        token: &str,
        caller: &Caller,
    ) -> Counted<Tokens, RefreshError> {
        match self.count_refresh(caller).await {
            Ok(standing) => Counted {
                outcome: self.refresh_to_the_end(token, caller).await,
                standing,
            },
            Err(limited) => Counted {
                outcome: Err(RefreshError::Fault(limited.into())),
                standing: Some(limited.standing),
            },
        }
    }

    /// Also where the client goes away meanwhile: what was done must be recorded.
    async fn refresh_to_the_end(
        self: &Arc<Self>,
        token: &str,
        caller: &Caller,
    ) -> Result<Tokens, RefreshError> {
        let flows = Arc::clone(self);
        let (token, caller) = (token.to_owned(), caller.clone());
        let here = Arc::new(());
        let asker = Arc::downgrade(&here);
        let work = async move { flows.try_refresh(&token, &caller, Some(asker)).await };
        let done = tokio::spawn(work);
        done.await.unwrap_or_else(|error| {
            let ended = StoreError::Unavailable(format!("a task ended early: {error}"));
            Err(Fault::from(ended).into())
        })
    }

    pub(crate) async fn try_refresh(
        &self,
        token: &str,
        caller: &Caller,
        asker: Option<Weak<()>>,
    ) -> Result<Tokens, RefreshError> {
        let presented = self
            .refresh_key
            .open(token)
            .ok_or(RefreshError::Invalid(None))?;
        self.recorder.has_room()?;
        let mut act = self.act(Kind::ReuseDetected, By::Anybody, Actor::Trusted, caller);
        let session = presented.session;
        act.draft.session = Some(session);
        act.asker = asker;
        let mint = self.mint(act.now)?;
        let policy = &self.policy.rotation;
        let outcome = self.store.refresh(presented, policy, &act).await;
        match outcome.map_err(Fault::from)? {
            RefreshOutcome::Refreshed(refreshed) => {
                let tokens = mint.tokens(&refreshed.grant, act.event())?;
                let repeated = !refreshed.rotated;
                self.record_refresh(act, &refreshed);
                Ok(Tokens { repeated, ..tokens })
            }
            RefreshOutcome::Reused {
                user_id,
                event,
                announcements,
            } => {
                self.honour(&announcements);
                let request_id = &caller.request_id;
                tracing::warn!(user = %user_id, %session, request_id, "refresh token reused; session ended");
                Err(RefreshError::Reused(Trace { session, event }))
            }
            RefreshOutcome::Dead {
                dead,
                user_id,
                event,
            } => Err(self.refused(dead, user_id, Trace { session, event }, caller)),
            RefreshOutcome::Unknown => {
                let event = self.end_of(session).await?;
                Err(RefreshError::Invalid(Some(Trace { session, event })))
            }
        }
    }

    /// Of an expired session that is the expiry, which is recorded now.
    pub(crate) fn refused(
        &self,
        dead: Dead,
        user: UserId,
        trace: Trace,
        caller: &Caller,
    ) -> RefreshError {
        match dead {
            Dead::Expired => RefreshError::Expired(Trace {
                event: Some(self.record_expiry(user, trace.session, caller)),
                ..trace
            }),
            Dead::Ended(EndReason::Reuse) => RefreshError::Reused(trace),
            Dead::Ended(_) => RefreshError::Revoked(trace),
        }
    }

    /// The event that is nearly always meant when a token is looked up: it has the id of the access token.
    fn record_refresh(&self, act: Act, refreshed: &Refreshed) {
        if !self.policy.audit_refreshes {
            return;
        }
        let mut draft = act.draft;
        draft.kind = Kind::TokenRefreshed;
        draft.by = By::Subject;
        draft.user = Some(refreshed.grant.user);
        draft.reason = match (refreshed.rotated, refreshed.adopted) {
            (false, _) => Some("repeated"),
            (true, true) => Some("adopted"),
            (true, false) => None,
        };
        let generation = refreshed.grant.state.generation;
        draft
            .details
            .insert("generation".to_owned(), generation.into());
        // There was room a moment ago, and the refresh cannot be undone.
        if self.recorder.record_soon(draft).is_err() {
            tracing::error!("a refresh was not recorded: too many audit events wait to be written");
        }
    }
}
