//! Limits, counted in Redis alone: what it loses of them lets a few more through.

use async_trait::async_trait;
use countersign_domain::limits::{Return, Rule, Taken};
use countersign_store::{LimitKey, Limits, StoreError};
use jiff::Timestamp;

use crate::calls::read_taken;
use crate::store::RedisStore;

#[async_trait]
impl Limits for RedisStore {
    async fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Result<Taken, StoreError> {
        let rule = *rule;
        self.detached(move |core| async move {
            let ready = core.ready().ok_or_else(away)?;
            let call = ready.calls.take(key, &rule, now);
            let answer = core.ask::<Vec<u8>>(&ready, "take_limit", &call).await;
            let answer = answer.ok_or_else(away)?;
            read_taken(&answer, &rule)
                .ok_or_else(|| StoreError::Corrupt("a limit in Redis cannot be read".to_owned()))
        })
        .await
    }

    async fn give_back(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rule = *rule;
        self.detached(move |core| async move {
            let ready = core.ready().ok_or_else(away)?;
            let call = ready.calls.give_back(key, &rule, taken_until, why, now);
            let done = core.ask::<i64>(&ready, "give_back_limit", &call).await;
            done.map(drop).ok_or_else(away)
        })
        .await
    }

    /// Redis lets them lapse by itself. What was counted in the database before there was a Redis is removed here.
    async fn remove_lapsed_limits(&self, most: u32, now: Timestamp) -> Result<u32, StoreError> {
        self.core.beneath.remove_lapsed_limits(most, now).await
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("Redis is away".to_owned())
}
