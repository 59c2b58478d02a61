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
