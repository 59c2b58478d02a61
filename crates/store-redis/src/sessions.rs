use async_trait::async_trait;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{EndReason, RotationPolicy};
use countersign_domain::{SessionId, UserId};
use countersign_store::{
    Act, Actor, Ended, NewSession, Opened, RefreshOutcome, Scope, Session, Sessions, SignInProof,
    StoreError,
};
use jiff::Timestamp;
use redis::Value;
use tokio::time::Instant;

use crate::debts::Debt;
use crate::entry::Entry;
use crate::instance::Core;
use crate::refresh::{Refresh, entry_of};
use crate::store::RedisStore;

#[async_trait]
impl Sessions for RedisStore {
    async fn open_session(
        &self,
        new: &NewSession,
        proof: &SignInProof,
        act: &Act,
    ) -> Result<Opened, StoreError> {
        let (new, proof, act) = (new.clone(), proof.clone(), act.clone());
        self.detached(|core| async move { core.open_session(&new, &proof, &act).await })
            .await
    }

    async fn refresh(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        act: &Act,
    ) -> Result<RefreshOutcome, StoreError> {
        let began = Instant::now();
        let refresh = Refresh {
            core: &self.core,
            presented,
            policy,
            act,
            began,
        };
        if let Some(outcome) = refresh.try_in_redis().await? {
            return Ok(outcome);
        }
        let (policy, act) = (*policy, act.clone());
        self.detached(move |core| async move {
            let refresh = Refresh {
                core: &core,
                presented,
                policy: &policy,
                act: &act,
                began,
            };
            refresh.run().await
        })
        .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let mut sessions = Vec::from_iter(self.core.beneath.session(id).await?);
        self.core.bring_up_to_date(&mut sessions).await;
        Ok(sessions.pop())
    }

    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let listed = self.core.beneath.live_sessions(user, after, limit, now);
        let mut sessions = listed.await?;
        self.core.bring_up_to_date(&mut sessions).await;
        Ok(sessions)
    }

    async fn end_session(
        &self,
        id: SessionId,
        owner: Option<UserId>,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError> {
        let act = act.clone();
        self.detached(move |core| async move {
            core.write_what_is_known_of(&act).await?;
            let ended = core.beneath.end_session(id, owner, reason, &act).await?;
            match &ended {
                // Whoever ended it may have died before Redis was told.
                Ended::Ended(announcements) if announcements.is_empty() => {
                    core.tell(vec![(id, Debt::Bury)]).await;
                }
                Ended::Ended(announcements) => core.settle(announcements).await,
                Ended::NotFound | Ended::ActorEnded => {}
            }
            Ok(ended)
        })
        .await
    }

    async fn end_sessions(
        &self,
        user: UserId,
        scope: Scope,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError> {
        let act = act.clone();
        self.detached(move |core| async move {
            core.write_what_is_known_of(&act).await?;
            let ended = core.beneath.end_sessions(user, scope, reason, &act).await?;
            if let Ended::Ended(announcements) = &ended {
                core.settle(announcements).await;
            }
            Ok(ended)
        })
        .await
    }
}

impl Core {
    async fn open_session(
        &self,
        new: &NewSession,
        proof: &SignInProof,
        act: &Act,
    ) -> Result<Opened, StoreError> {
        let token = self.token();
        let leased = match self.ready() {
            Some(ready) => {
                let lease = ready.calls.lease(new.id, &token);
                let leased = self.ask::<()>(&ready, "lease", &lease).await;
                leased.map(|()| ready)
            }
            None => None,
        };
        let opened = self.beneath.open_session(new, proof, act).await?;
        if let Opened::Opened(session, user, announcements) = &opened {
            self.settle(announcements).await;
            // Where this fails, the first refresh reads the session from the database.
            if let Some(ready) = leased {
                let entry = entry_of(session, user);
                let call = ready.calls.open(session.id, &token, &entry, act.now);
                self.ask::<i64>(&ready, "open", &call).await;
            }
        }
        Ok(opened)
    }

    /// Before the database is asked whether a session may act: it may have been refreshed since it
    /// would have idled out.
    pub(crate) async fn write_what_is_known_of(&self, act: &Act) -> Result<(), StoreError> {
        match act.actor {
            Actor::Session(id) => self.pending.flush_one(id, &*self.beneath).await,
            Actor::Trusted => Ok(()),
        }
    }

    /// Sessions as the database has them may lack the last rotation.
    async fn bring_up_to_date(&self, sessions: &mut [Session]) {
        let Some(ready) = self.ready() else { return };
        let live = |session: &&mut Session| session.state.ended.is_none();
        let mut sessions: Vec<_> = sessions.iter_mut().filter(live).collect();
        if sessions.is_empty() {
            return;
        }
        let looks: Vec<_> = sessions
            .iter()
            .map(|session| ready.calls.look(session.id))
            .collect();
        match ready.link.query_all(&looks).await {
            Ok(values) => {
                for (session, value) in sessions.iter_mut().zip(values) {
                    bring_up_to_date(session, &value);
                }
            }
            Err(error) => self.give_up(&ready, &error),
        }
    }
}

fn bring_up_to_date(session: &mut Session, value: &Value) {
    let Value::BulkString(bytes) = value else {
        return;
    };
    if let Some(Entry { state, .. }) = Entry::under_key(bytes)
        && state.generation > session.state.generation
    {
        session.state = state;
        session.last_used_at = state.rotated_at;
    }
}
