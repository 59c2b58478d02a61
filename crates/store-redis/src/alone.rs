//! One authority at a time: before sessions are refreshed in the database, every instance has stopped refreshing them in
//! Redis, and none begins again before that is over.
//!
//! An epoch with an even number says that Redis is out of use. Who must go to the database begins such an epoch, waits until
//! all others have seen it, and begins the next but one as long as it has to go there: a sign of life. Who can use Redis again
//! waits until no such sign has come for long enough, and begins an odd one, in which everything in Redis is worthless.

use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_store::{CopyEpoch, StoreError};
use tokio::time::{Instant, sleep, sleep_until};

use crate::Settings;
use crate::instance::Core;

/// Somebody else may change the epoch at the same moment, but not often.
const TRIES: u32 = 8;

/// What this instance knows of the epoch in which Redis is out of use.
#[derive(Default)]
pub(crate) struct Alone {
    /// One was in force at this moment.
    confirmed: Option<Instant>,
    /// And none in which Redis is used has been since this one.
    since: Option<Instant>,
    /// This instance, or another at the same moment, gave a sign then.
    sign: Option<Instant>,
}

/// How long an epoch in which Redis is out of use has stood still.
#[derive(Default)]
pub(crate) struct Stillness {
    seen: Option<(u64, Instant)>,
}

impl Stillness {
    /// Notes that an epoch is in force, and answers whether it has been for long enough.
    pub(crate) fn is_enough(&mut self, epoch: CopyEpoch, settings: &Settings) -> bool {
        let now = Instant::now();
        match self.seen {
            Some((number, since)) if number == epoch.number => {
                now.duration_since(since) >= settings.stands_still_for()
            }
            _ => {
                self.seen = Some((epoch.number, now));
                false
            }
        }
    }
}

/// Whether this epoch says that sessions are refreshed in the database alone.
pub(crate) fn is_out_of_use(epoch: CopyEpoch) -> bool {
    epoch.number.is_multiple_of(2)
}

impl Settings {
    /// So often it is looked whether Redis is still in use.
    pub(crate) fn look_every(&self) -> Duration {
        (self.others_write_within / 4).max(Duration::from_millis(10))
    }

    /// Nobody uses Redis whose last look is older: twice a look and a look that got no answer, and a little more.
    pub(crate) fn look_holds_for(&self) -> Duration {
        self.look_every() * 4
    }

    /// So long a Redis that has just failed may take to be there again.
    pub(crate) fn back_within(&self) -> Duration {
        self.others_write_within / 2
    }

    /// So long after the beginning of an epoch all others have seen it, and have written what they had acknowledged
    /// before.
    fn others_leave_within(&self) -> Duration {
        self.others_write_within * 2
    }

    /// For so long whoever gave a sign relies on it: well shorter than `stands_still_for`.
    fn sign_holds_for(&self) -> Duration {
        self.others_write_within * 2
    }

    /// Without a sign for so long, nobody relies on the epoch any more.
    fn stands_still_for(&self) -> Duration {
        self.others_write_within * 4
    }
}

impl Core {
    /// Returns `true` when no instance refreshes in Redis what the database does not know; `false` where this instance trusts
    /// Redis again. To be called before a refresh in the database, and once more before it is acknowledged: should others
    /// have gone back to Redis meanwhile, they have left it again then, and what they put there is worthless.
    ///
    /// Instances that are cut off from the database do not hear of it.
    pub(crate) async fn leave_redis(&self) -> Result<bool, StoreError> {
        if self.waits_for_others.load(Ordering::Acquire) {
            let began = Instant::now();
            let epoch = self.beneath.copy_epoch(self.candidate()).await?;
            if is_out_of_use(epoch) {
                // It gives no signs, so as to let Redis be used again, and must look each time.
                let since = self.alone.lock().await.confirm(began, true, &self.settings);
                sleep_until(since + self.settings.others_leave_within()).await;
                return Ok(true);
            }
            if self
                .is_trusted_soon(self.settings.others_leave_within())
                .await
            {
                return Ok(false);
            }
        }
        let since = {
            let mut alone = self.alone.lock().await;
            let holds = |sign: Instant| sign.elapsed() < self.settings.sign_holds_for();
            match (alone.sign, alone.since) {
                (Some(sign), Some(since)) if holds(sign) => since,
                _ => self.give_a_sign(&mut alone).await?,
            }
        };
        sleep_until(since + self.settings.others_leave_within()).await;
        Ok(true)
    }

    /// Answers since when Redis has been out of use.
    async fn give_a_sign(&self, alone: &mut Alone) -> Result<Instant, StoreError> {
        for _ in 0..TRIES {
            let began = Instant::now();
            let epoch = self.beneath.copy_epoch(self.candidate()).await?;
            let was_out_of_use = is_out_of_use(epoch);
            let to = epoch.number + if was_out_of_use { 2 } else { 1 };
            // If somebody else was quicker, what is in force came later than `began` too.
            let begun = self.beneath.next_copy_epoch(epoch, to).await?;
            if is_out_of_use(begun) {
                if !was_out_of_use {
                    tracing::warn!(
                        epoch = begun.number,
                        "Redis is out of use for all instances; sessions are refreshed in the database"
                    );
                }
                alone.sign = Some(began);
                return Ok(alone.confirm(began, was_out_of_use, &self.settings));
            }
        }
        let text = "other instances begin to use Redis again";
        Err(StoreError::Unavailable(text.to_owned()))
    }

    /// Waits until Redis is trusted here, for so long at most.
    pub(crate) async fn is_trusted_soon(&self, longest: Duration) -> bool {
        let began = Instant::now();
        while self.ready().is_none() {
            if began.elapsed() >= longest {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        true
    }
}

impl Alone {
    /// Notes that Redis is out of use. `before`: it was already, when that was read.
    fn confirm(&mut self, began: Instant, before: bool, settings: &Settings) -> Instant {
        let lasting = |confirmed: Instant| {
            began.saturating_duration_since(confirmed) < settings.stands_still_for()
        };
        let unbroken = before && self.confirmed.is_some_and(lasting);
        self.confirmed = self.confirmed.max(Some(began));
        match self.since {
            Some(since) if unbroken => since,
            _ => *self.since.insert(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::RedisUrl;

    fn settings() -> Settings {
        let url = RedisUrl::parse("redis://127.0.0.1").unwrap();
        Settings::new(url, [0; 8])
    }

    /// How long it takes until nobody uses Redis covers what each instance may take; and whoever relies on a sign has done so
    /// before others may go back.
    #[test]
    fn the_times_fit_each_other() {
        let settings = settings();
        let leaves = settings.look_holds_for() + settings.patience.answer + settings.write_every;
        assert!(leaves < settings.others_leave_within(), "{leaves:?}");
        // A look that gets no answer lasts as long as the pause between two.
        assert!(3 * settings.look_every() < settings.look_holds_for());
        assert!(settings.sign_holds_for() < settings.stands_still_for());
        // From the first failure to the first refresh in the database.
        let first =
            settings.patience.answer + settings.back_within() + settings.others_leave_within();
        assert!(first <= Duration::from_millis(1500), "{first:?}");
    }

    #[test]
    fn only_an_unbroken_time_out_of_use_counts() {
        let (settings, mut alone) = (settings(), Alone::default());
        let start = Instant::now();
        let first = alone.confirm(start, true, &settings);
        let soon = start + settings.sign_holds_for();
        assert_eq!(alone.confirm(soon, true, &settings), first);
        // Redis was in use when this was read.
        let second = alone.confirm(soon, false, &settings);
        assert!(second > first);
        assert_eq!(alone.confirm(soon, true, &settings), second);
        // Nobody knows what was in between.
        let late = soon + settings.stands_still_for();
        assert!(alone.confirm(late, true, &settings) > second);
    }

    #[test]
    fn a_sign_begins_the_wait_anew() {
        let mut settings = settings();
        settings.others_write_within = Duration::ZERO;
        let epoch = |number| CopyEpoch {
            installation: Uuid::nil(),
            number,
        };
        let mut stillness = Stillness::default();
        assert!(is_out_of_use(epoch(2)) && !is_out_of_use(epoch(3)));
        assert!(!stillness.is_enough(epoch(2), &settings));
        assert!(stillness.is_enough(epoch(2), &settings));
        assert!(!stillness.is_enough(epoch(4), &settings));
        settings.others_write_within = Duration::from_secs(60);
        assert!(!stillness.is_enough(epoch(4), &settings));
    }
}
