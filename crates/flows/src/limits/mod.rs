//! Limits: who is counted under which key, where, and what an outcome does to the count.
//!
//! A place is taken before anything is evaluated, and given back when nothing came to be evaluated or what was tried
//! was right. So of any number of attempts at once only as many are evaluated as there are places.

mod limiter;
mod memory;
mod policy;
mod standing;
mod tallies;

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_domain::audit::{By, Kind};
use countersign_domain::device_token::KnownDevice;
use countersign_domain::limits::{Return, Rule, Taken};
use countersign_domain::rotation::later;
use countersign_store::LimitKey;
use jiff::Timestamp;

pub(crate) use limiter::Limiter;
pub use policy::{Counting, LimitPolicy};
pub use standing::{Counted, Limited, Standing};
pub use tallies::LimitFigures;

use limiter::{Limit, Who};

use crate::access::Authenticated;
use crate::fault::Fault;
use crate::{Caller, Flows};

/// The limit of which nobody is told how they stand, until it refuses.
const ACCOUNT: &str = "account";

/// A store that takes longer to count is not waited for: who signs in has waited long enough.
const PATIENCE: Duration = Duration::from_secs(2);

/// For how long it is not asked then.
const AWAY: Duration = Duration::from_secs(5);

/// How many lapsed rows are removed in one step.
const BATCH: u32 = 500;

/// Places that are taken while something is evaluated. Dropped without more they stay taken, which is
/// what becomes of those whose client hangs up meanwhile: the evaluation may have been done.
pub(crate) struct Held {
    places: Vec<Place>,
    standing: Option<Standing>,
}

struct Place {
    name: &'static str,
    key: LimitKey,
    rule: Rule,
    until: Timestamp,
    counted: Counting,
}

/// What an outcome means for the places that were taken for it.
pub(crate) enum Effect {
    /// It counts.
    Counts,
    /// They are given back.
    GiveBack(Return),
}

impl Flows {
    /// Counts a request that takes a token against the limit for everything else.
    pub async fn count_other(&self, caller: &Caller) -> Result<Option<Standing>, Limited> {
        let who = Who::Address(caller.block());
        let limit = Limit("other", self.limiter.policy.other, who);
        self.pass(limit, caller).await
    }

    /// Counts a refresh.
    pub(crate) async fn count_refresh(&self, caller: &Caller) -> Result<Option<Standing>, Limited> {
        let who = Who::Address(caller.block());
        let limit = Limit("refresh", self.limiter.policy.refresh, who);
        self.pass(limit, caller).await
    }

    /// Takes a place of a generous limit, which is never given back.
    async fn pass(&self, limit: Limit<'_>, caller: &Caller) -> Result<Option<Standing>, Limited> {
        let Limit(name, _, who) = limit;
        let passed = self.limiter.pass(limit, self.cautious_now());
        if let Err(limited) = &passed {
            self.record_limited(self.limiter.key_of(name, who), who, limited, caller)
                .await;
        }
        passed
    }

    /// Records that a limit has begun to refuse somebody: once until it admits again, or whoever is
    /// refused could fill the log. The refusal stands also where it cannot be recorded.
    async fn record_limited(
        &self,
        key: LimitKey,
        who: Who<'_>,
        limited: &Limited,
        caller: &Caller,
    ) {
        let now = self.clock.now();
        let until = later(now, limited.standing.reset.try_into().unwrap_or_default());
        let known = self.limiter.refused.get(&key);
        if known.is_some_and(|until| now < until) {
            return;
        }
        self.limiter.refused.insert(key, until);
        let mut draft = self.draft(Kind::LimitReached, By::Anybody, caller, now);
        let limit = limited.standing.policy;
        draft.details.insert("limit".to_owned(), limit.into());
        match who {
            Who::Device(_, user) => draft.user = Some(user),
            Who::Session(session, user) => {
                (draft.user, draft.session) = (Some(user), Some(session));
            }
            Who::Address(_) | Who::Account(_) => {}
        }
        if let Err(error) = self.record(draft).await {
            tracing::warn!(%error, limit, "a refusal by a limit was not recorded");
        }
    }

    pub(crate) fn limit_registration<'a>(&self, caller: &Caller) -> [Limit<'a>; 1] {
        let who = Who::Address(caller.block());
        [Limit("register", self.limiter.policy.register, who)]
    }

    /// What a sign-in is counted against. A known device has a budget of its own, so that nobody
    /// can use up its places: neither strangers who try the account, nor others behind the same address.
    pub(crate) fn limit_sign_in<'a>(
        &self,
        email: &'a str,
        device: Option<KnownDevice>,
        caller: &Caller,
    ) -> Vec<Limit<'a>> {
        let LimitPolicy { login, account, .. } = self.limiter.policy;
        match device {
            Some(device) => vec![Limit("device", login, Who::Device(device.id, device.user))],
            None => vec![
                Limit("login", login, Who::Address(caller.block())),
                Limit(ACCOUNT, account, Who::Account(email)),
            ],
        }
    }

    /// What a password is counted against that a signed-in user is asked for again: the session,
    /// so that whoever holds a stolen token can guess no more than at the front door, and nobody can
    /// keep the owner from it.
    pub(crate) fn limit_password_again<'a>(&self, who: &Authenticated) -> [Limit<'a>; 1] {
        [Limit(
            "password",
            self.limiter.policy.login,
            Who::Session(who.session(), who.user()),
        )]
    }

    /// Takes a place of each limit, or none. How the caller stands is not told for the
    /// limit of an account: strangers would learn whether others try it.
    pub(crate) async fn hold(
        &self,
        limits: impl IntoIterator<Item = Limit<'_>>,
        caller: &Caller,
    ) -> Result<Held, Limited> {
        let now = self.cautious_now();
        let mut held = Held {
            places: Vec::new(),
            standing: None,
        };
        for Limit(name, rule, who) in limits {
            let Some(rule) = rule else { continue };
            let key = self.limiter.key_of(name, who);
            let (taken, counted) = self.take(key, &rule, now).await;
            let standing = Standing::after(name, &rule, taken, now);
            self.limiter.count(name, standing.is_ok());
            match standing {
                Ok((standing, until)) => {
                    if name != ACCOUNT {
                        held.standing.get_or_insert(standing);
                    }
                    held.places.push(Place {
                        name,
                        key,
                        rule,
                        until,
                        counted,
                    });
                }
                Err(limited) => {
                    self.settle(held, Effect::GiveBack(Return::Unused)).await;
                    self.record_limited(key, who, &limited, caller).await;
                    return Err(limited);
                }
            }
        }
        Ok(held)
    }

    /// Takes a place where it is counted. A store that does not answer does not switch a limit off.
    async fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> (Taken, Counting) {
        if self.limiter.policy.shared == Counting::InStore && !self.store_is_away() {
            match tokio::time::timeout(PATIENCE, self.store.take(key, rule, now)).await {
                Ok(Ok(taken)) => return (taken, Counting::InStore),
                Ok(Err(error)) => tracing::warn!(%error, "counting a limit in memory"),
                Err(_) => {
                    tracing::warn!("the store is slow; counting limits in memory for a while");
                    let until = self.clock.elapsed() + AWAY;
                    let away_until = &self.limiter.away_until;
                    away_until.store(millis(until), Ordering::Relaxed);
                }
            }
        }
        if self.limiter.policy.shared == Counting::InStore {
            self.limiter.without_store.fetch_add(1, Ordering::Relaxed);
        }
        let taken = self.limiter.strict.take_now(key, rule, now);
        (taken, Counting::InMemory)
    }

    fn store_is_away(&self) -> bool {
        millis(self.clock.elapsed()) < self.limiter.away_until.load(Ordering::Relaxed)
    }

    /// Does to the places what the outcome means for them, and answers how the caller stands then.
    pub(crate) async fn settle(&self, held: Held, effect: Effect) -> Option<Standing> {
        let Effect::GiveBack(why) = effect else {
            return held.standing;
        };
        let now = self.cautious_now();
        for Place {
            name,
            key,
            rule,
            until,
            counted,
        } in &held.places
        {
            if let Some(tally) = self.limiter.tallies.of(name) {
                tally.given_back.one_more();
            }
            match counted {
                Counting::InMemory => self
                    .limiter
                    .strict
                    .give_back_now(*key, rule, *until, why, now),
                Counting::InStore => {
                    if let Err(error) = self.store.give_back(*key, rule, *until, why, now).await {
                        tracing::warn!(%error, "a place of a limit was not given back");
                    }
                }
            }
        }
        held.standing.map(|standing| Standing {
            remaining: standing.quota.min(standing.remaining + 1),
            ..standing
        })
    }

    /// Takes places, evaluates, and settles.
    pub(crate) async fn counted<T, E: From<Fault>>(
        &self,
        limits: impl IntoIterator<Item = Limit<'_>>,
        caller: &Caller,
        evaluate: impl Future<Output = Result<T, E>>,
        effect: impl FnOnce(&Result<T, E>) -> Effect,
    ) -> Counted<T, E> {
        let held = match self.hold(limits, caller).await {
            Ok(held) => held,
            Err(limited) => {
                return Counted {
                    standing: Some(limited.standing),
                    outcome: Err(Fault::from(limited).into()),
                };
            }
        };
        let outcome = evaluate.await;
        let standing = self.settle(held, effect(&outcome)).await;
        Counted { outcome, standing }
    }

    /// Removes from the store what has lapsed. The server calls this every minute; nothing becomes
    /// valid again by it, it only makes room.
    pub async fn remove_lapsed_limits(&self) -> Result<(), Fault> {
        if self.limiter.policy.shared == Counting::InStore {
            while self
                .store
                .remove_lapsed_limits(BATCH, self.cautious_now())
                .await?
                == BATCH
            {}
        }
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
