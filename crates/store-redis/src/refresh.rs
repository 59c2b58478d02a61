//! Refreshing in Redis, and in the database where Redis cannot tell.

use std::sync::Arc;

use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, RotationPolicy, SessionState};
use countersign_store::{
    Act, Grant, RefreshOutcome, Refreshed, Rotation, Session, StoreError, User,
};

use tokio::time::Instant;

use crate::debts::Debt;
use crate::entry::{Answer, Entry, Facts, Token};
use crate::instance::{Core, Ready};
use crate::pending::Room;

/// A key changes hands under a refresh only where others fill it or end the session at the same
/// moment; after a few times the database decides.
const TRIES: u32 = 4;

/// One refresh.
pub(crate) struct Refresh<'a> {
    pub(crate) core: &'a Core,
    pub(crate) presented: Presented,
    pub(crate) policy: &'a RotationPolicy,
    pub(crate) act: &'a Act,
    /// What waits for Redis may be overtaken, as what waits for the database may.
    pub(crate) began: Instant,
}

impl Refresh<'_> {
    /// One call of the script, which nearly always decides. `None`: it does not, and [`Self::run`] must.
    ///
    /// Whoever waits for this may go away at any moment. A rotation that nobody was told of is then not noted for the
    /// database, which is as if its answer had been lost: the retry is answered with the same successor, and notes it.
    pub(crate) async fn try_in_redis(&self) -> Result<Option<RefreshOutcome>, StoreError> {
        let Some(ready) = self.core.ready_now().await else {
            return Ok(None);
        };
        Ok(match self.call(&ready, None).await? {
            Some((room, Some(Answer::Rotated { entry, adopted }))) => {
                Some(self.granted(room, entry, true, adopted))
            }
            Some((room, Some(Answer::Repeated(entry)))) => {
                Some(self.granted(room, entry, false, false))
            }
            _ => None,
        })
    }

    pub(crate) async fn run(&self) -> Result<RefreshOutcome, StoreError> {
        let mut filling: Option<(Token, Entry)> = None;
        for _ in 0..TRIES {
            let Some(ready) = self.core.ready_now().await else {
                match self.without_redis().await? {
                    Some(outcome) => return Ok(outcome),
                    None => continue,
                }
            };
            let Some((room, answer)) = self.call(&ready, filling.as_ref()).await? else {
                continue;
            };
            match answer {
                Some(Answer::Rotated { entry, adopted }) => {
                    return Ok(self.granted(room, entry, true, adopted));
                }
                Some(Answer::Repeated(entry)) => {
                    return Ok(self.granted(room, entry, false, false));
                }
                Some(Answer::LooksReused(entry)) => {
                    if self.is_reuse_certain(&entry.state).await? {
                        return self.in_database("reuse").await;
                    }
                }
                Some(Answer::LooksExpired) => return self.in_database("expired").await,
                Some(Answer::Gone) => return self.in_database("ended").await,
                Some(Answer::Miss { token, kept }) => {
                    drop(room);
                    // Somebody may hold back a rotation that was acknowledged before Redis lost it.
                    if !kept && !self.core.all_is_written(self.presented.session).await? {
                        continue;
                    }
                    match self.read(kept).await? {
                        Some(entry) => filling = Some((token, entry)),
                        None => return self.in_database("ended").await,
                    }
                }
                None => {
                    self.core.distrust("a session in Redis cannot be read");
                }
            }
        }
        // Redis comes and goes, or loses what is read into it; so what it lost before may not be written yet.
        match self.core.all_is_written(self.presented.session).await? {
            true => self.in_database("contended").await,
            false => {
                let text = "Redis comes and goes";
                Err(StoreError::Unavailable(text.to_owned()))
            }
        }
    }

    /// Calls the script, with room for what it may acknowledge. `None`: Redis did not answer. The answer is `None`
    /// where it cannot be read.
    async fn call(
        &self,
        ready: &Arc<Ready>,
        filling: Option<&(Token, Entry)>,
    ) -> Result<Option<(Room<'_>, Option<Answer>)>, StoreError> {
        // Before anything is consumed: what is acknowledged must find room to wait in.
        let Some(room) = self.core.pending.reserve(self.presented.session) else {
            let text = "too many rotations wait for the database";
            return Err(StoreError::Unavailable(text.to_owned()));
        };
        let (presented, now) = (self.presented, self.act.now);
        // A new token each time: under one that was used before, somebody may hold what was true then.
        let new = self.core.token();
        let call = ready
            .calls
            .refresh(presented, self.policy, now, &new, filling);
        let bytes = self.core.ask::<Vec<u8>>(ready, "refresh", &call).await;
        Ok(bytes.map(|bytes| (room, Answer::read(&bytes))))
    }

    /// Answers with what Redis says, and has the database learn it.
    fn granted(
        &self,
        room: Room<'_>,
        entry: Entry,
        rotated: bool,
        adopted: bool,
    ) -> RefreshOutcome {
        let session = self.presented.session;
        let Entry { state, facts } = entry;
        // Also for a repetition: whoever rotated may have gone away before it was noted.
        let rotation = Rotation {
            session,
            generation: state.generation,
            rotated_at: state.rotated_at,
            idle_expires_at: state.idle_expires_at,
        };
        self.core.pending.note(rotation, room);
        RefreshOutcome::Refreshed(Box::new(Refreshed {
            grant: Grant {
                session,
                user: facts.user,
                state,
                amr: facts.amr,
                auth_time: facts.auth_time,
                roles: facts.roles,
            },
            rotated,
            adopted,
        }))
    }

    /// Reads what Redis does not know, after the key was leased: from now on, whatever ends the session
    /// or changes its roles takes the lease away. `None`: the session is over.
    async fn read(&self, kept: bool) -> Result<Option<Entry>, StoreError> {
        self.core
            .figures
            .to_database(if kept { "stale" } else { "missing" });
        let read = self
            .core
            .beneath
            .session_with_user(self.presented.session)
            .await?;
        Ok(read
            .filter(|(session, _)| session.state.ended.is_none())
            .map(|(session, user)| entry_of(&session, &user)))
    }

    /// Redis says that an old token is used again. But a rotation whose answer got lost on the way to the
    /// client, in an outage, was never acknowledged, and its retry is no theft: only what the database knows was acknowledged.
    /// `false`: Redis went away, and is to be asked again.
    async fn is_reuse_certain(&self, state: &SessionState) -> Result<bool, StoreError> {
        if state.generation.saturating_sub(self.presented.generation) <= 1 {
            return self.core.all_is_written(self.presented.session).await;
        }
        // The one in between was presented by somebody, so it had arrived.
        let rotation = Rotation {
            session: self.presented.session,
            generation: state.generation,
            rotated_at: state.rotated_at,
            idle_expires_at: state.idle_expires_at,
        };
        self.core.beneath.note_rotations(&[rotation]).await?;
        Ok(true)
    }

    /// Redis cannot be asked. The database may, once nobody asks Redis and all have written what they held back. `None`:
    /// Redis can be asked again.
    async fn without_redis(&self) -> Result<Option<RefreshOutcome>, StoreError> {
        if self.core.is_back_at_once().await {
            return Ok(None);
        }
        self.flush().await?;
        match self.core.leave_redis().await? {
            true => self.in_database("away").await.map(Some),
            false => Ok(None),
        }
    }

    /// Lets the database decide, and tells Redis.
    async fn in_database(&self, why: &'static str) -> Result<RefreshOutcome, StoreError> {
        self.core.figures.to_database(why);
        let beneath = &self.core.beneath;
        let outcome = beneath
            .refresh_held(self.presented, self.policy, self.act, self.began.elapsed())
            .await?;
        let session = self.presented.session;
        match &outcome {
            RefreshOutcome::Refreshed(refreshed) => {
                let state = refreshed.grant.state;
                let told = self.core.tell_or_leave(vec![(session, Debt::Raise(state))]);
                told.await?;
            }
            RefreshOutcome::Reused { announcements, .. } => {
                self.core.settle(announcements).await;
            }
            RefreshOutcome::Dead {
                dead: Dead::Ended(_),
                ..
            }
            | RefreshOutcome::Unknown => {
                // Only to spare the next one the way here. An instance without Redis need not care.
                if self.core.ready().is_some() {
                    self.core.tell(vec![(session, Debt::Bury)]).await;
                }
            }
            RefreshOutcome::Dead {
                dead: Dead::Expired,
                ..
            } => {}
        }
        Ok(outcome)
    }

    async fn flush(&self) -> Result<(), StoreError> {
        let core = self.core;
        core.pending
            .flush_one(self.presented.session, &*core.beneath)
            .await
    }
}

pub(crate) fn entry_of(session: &Session, user: &User) -> Entry {
    Entry {
        state: session.state,
        facts: Facts {
            user: session.user_id,
            auth_time: session.auth_time,
            amr: session.amr.clone(),
            roles: user.roles.clone(),
        },
    }
}
