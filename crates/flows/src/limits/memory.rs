use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use countersign_domain::limits::{Return, Rule, Taken, Tally};
use countersign_store::{LimitKey, Limits, StoreError};
use jiff::Timestamp;

/// Keys in shards of their own do not wait for each other.
const SHARDS: usize = 16;

/// Limits counted in the memory of one instance.
///
/// Bounded: about 70 bytes per key, and no more keys than it was made for. When room is needed,
/// tallies that have lapsed go first, then those with the smallest counts. So a flood from ever new
/// addresses, each of which has a count of one, displaces itself and not those that have used up their places.
pub(crate) struct MemoryLimits {
    shards: Vec<Mutex<HashMap<LimitKey, Tally>>>,
    shard_capacity: usize,
}

impl MemoryLimits {
    /// Room for about `capacity` keys.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_capacity: (capacity / SHARDS).max(4),
        }
    }

    /// How many keys are kept.
    pub(crate) fn len(&self) -> usize {
        let shards = self.shards.iter();
        shards.map(|shard| lock(shard).len()).sum()
    }

    /// [`Limits::take`], which here cannot fail and waits for nothing.
    pub(crate) fn take_now(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Taken {
        let mut shard = self.shard(key);
        if let Some(tally) = shard.get_mut(&key) {
            *tally = rule.settle(*tally, now);
        }
        let taken = rule.take(shard.get(&key).copied(), now);
        if let Taken::Admitted { tally, .. } = taken {
            if shard.len() >= self.shard_capacity && !shard.contains_key(&key) {
                make_room(&mut shard, now);
            }
            shard.insert(key, tally);
        }
        taken
    }

    /// [`Limits::give_back`], likewise.
    pub(crate) fn give_back_now(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) {
        if let Entry::Occupied(mut entry) = self.shard(key).entry(key) {
            match rule.give_back(*entry.get(), taken_until, why, now) {
                Some(tally) => drop(entry.insert(tally)),
                None => drop(entry.remove()),
            }
        }
    }

    fn shard(&self, key: LimitKey) -> MutexGuard<'_, HashMap<LimitKey, Tally>> {
        // Keys are made by a MAC, so any byte is as good as another.
        lock(&self.shards[usize::from(key.0[15]) % SHARDS])
    }
}

fn lock(shard: &Mutex<HashMap<LimitKey, Tally>>) -> MutexGuard<'_, HashMap<LimitKey, Tally>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Frees at least a quarter of a full shard, so that the next time is far off and what it costs to look at
/// every key is spread over many.
fn make_room(shard: &mut HashMap<LimitKey, Tally>, now: Timestamp) {
    let wanted = shard.len().div_ceil(4);
    let before = shard.len();
    shard.retain(|_, tally| now < tally.lapses_at);
    let missing = wanted.saturating_sub(before - shard.len());
    if missing == 0 {
        return;
    }
    let mut order: Vec<(u32, Timestamp, LimitKey)> = shard
        .iter()
        .map(|(key, tally)| (tally.count, tally.lapses_at, *key))
        .collect();
    let least = |a: &(u32, Timestamp, LimitKey), b: &(u32, Timestamp, LimitKey)| {
        (a.0, a.1).cmp(&(b.0, b.1))
    };
    order.select_nth_unstable_by(missing - 1, least);
    for (_, _, key) in &order[..missing] {
        shard.remove(key);
    }
}

#[async_trait]
impl Limits for MemoryLimits {
    async fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Result<Taken, StoreError> {
        Ok(self.take_now(key, rule, now))
    }

    async fn give_back(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.give_back_now(key, rule, taken_until, why, now);
        Ok(())
    }

    async fn remove_lapsed_limits(&self, most: u32, now: Timestamp) -> Result<u32, StoreError> {
        let mut left = most;
        for shard in &self.shards {
            lock(shard).retain(|_, tally| {
                let goes = left > 0 && tally.lapses_at <= now;
                left -= u32::from(goes);
                !goes
            });
        }
        Ok(most - left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    const FIVE: Rule = Rule::Window {
        limit: 5,
        window: SignedDuration::from_mins(15),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// Spread like a MAC.
    fn key(number: u64) -> LimitKey {
        let mut bytes = [0; 16];
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..].copy_from_slice(&mixed.to_le_bytes());
        LimitKey(bytes)
    }

    #[test]
    fn a_million_addresses_displace_themselves_and_nobody_who_is_refused() {
        let limits = MemoryLimits::new(100_000);
        let refused = |number| {
            let taken = limits.take_now(key(number), &FIVE, at(1));
            matches!(taken, Taken::Refused { .. })
        };
        for attacker in 0..1_000 {
            for _ in 0..5 {
                limits.take_now(key(attacker), &FIVE, at(0));
            }
        }
        for address in 1_000..1_001_000 {
            limits.take_now(key(address), &FIVE, at(1));
        }
        assert!(limits.len() <= 100_000, "{}", limits.len());
        assert!(limits.len() > 50_000, "{}", limits.len());
        assert!((0..1_000).all(refused));
    }

    #[test]
    fn what_has_lapsed_goes_before_what_counts() {
        let limits = MemoryLimits::new(SHARDS * 8);
        for address in 0..60 {
            for _ in 0..5 {
                limits.take_now(key(address), &FIVE, at(0));
            }
        }
        for address in 100..160 {
            limits.take_now(key(address), &FIVE, at(900));
        }
        for address in 200..230 {
            limits.take_now(key(address), &FIVE, at(900));
        }
        // Still counted, although each had only a count of one.
        let kept = (100..160).filter(|address| {
            let taken = limits.take_now(key(*address), &FIVE, at(901));
            matches!(taken, Taken::Admitted { remaining: 3, .. })
        });
        assert!(kept.count() > 40);
    }

    async fn fresh() -> (Shared, Shared, ()) {
        let limits = std::sync::Arc::new(MemoryLimits::new(1_000));
        (Shared(limits.clone()), Shared(limits), ())
    }

    /// Two handles on one memory, as the suite wants them.
    struct Shared(std::sync::Arc<MemoryLimits>);

    #[async_trait]
    impl Limits for Shared {
        async fn take(
            &self,
            key: LimitKey,
            rule: &Rule,
            now: Timestamp,
        ) -> Result<Taken, StoreError> {
            self.0.take(key, rule, now).await
        }

        async fn give_back(
            &self,
            key: LimitKey,
            rule: &Rule,
            until: Timestamp,
            why: Return,
            now: Timestamp,
        ) -> Result<(), StoreError> {
            self.0.give_back(key, rule, until, why, now).await
        }

        async fn remove_lapsed_limits(&self, most: u32, now: Timestamp) -> Result<u32, StoreError> {
            self.0.remove_lapsed_limits(most, now).await
        }
    }

    countersign_store::limits_suite!(in_memory, fresh);
}
