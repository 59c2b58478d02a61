//! What instances leave for each other in Redis beside sessions and limits. Each mark may be lost at any time; what is missing
//! then stands for the careful answer.

use std::time::Duration;

use redis::{Cmd, RedisError};

use crate::calls::Calls;
use crate::instance::{Core, Ready};
use crate::link::Link;

/// An announcement lives for more than twice as long, so nothing was missed while the mark was there. A session whose
/// end was announced and forgotten while nobody listened would go on in Redis for ever.
const FOLLOWED: Duration = Duration::from_secs(30 * 60);

/// How often it is renewed.
pub(crate) const FOLLOWS_AGAIN: Duration = Duration::from_secs(60);

/// Written again by every look.
const NEWEST: Duration = Duration::from_secs(24 * 3600);

impl Calls {
    /// Marks that all that was announced has been told to Redis.
    pub(crate) fn followed(&self) -> Cmd {
        set(&self.names.followed(), 1, FOLLOWED)
    }

    /// Marks that this epoch has begun, for those who cannot ask the database.
    pub(crate) fn begun(&self) -> Cmd {
        set(&self.names.newest(), self.names.epoch, NEWEST)
    }

    fn newest(&self) -> Cmd {
        let mut get = redis::cmd("GET");
        get.arg(self.names.newest());
        get
    }
}

fn set(key: &str, value: u64, lasts: Duration) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(key)
        .arg(value)
        .arg("PX")
        .arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
    set
}

async fn is_there(link: &Link, key: String) -> Result<bool, RedisError> {
    let mut get = redis::cmd("GET");
    get.arg(key);
    Ok(link.query::<Option<Vec<u8>>>(&get).await?.is_some())
}

/// Whether somebody has followed lately what was announced in this epoch.
pub(crate) async fn is_followed(link: &Link, calls: &Calls) -> Result<bool, RedisError> {
    is_there(link, calls.names.followed()).await
}

/// What is known there of epochs, by number; `None`: nothing.
pub(crate) async fn newest(link: &Link, calls: &Calls) -> Result<Option<u64>, RedisError> {
    link.query(&calls.newest()).await
}

impl Core {
    /// Leaves the epoch if another is known to have begun, which the database might have told if it could be asked. Otherwise
    /// makes sure that this one is known.
    pub(crate) async fn compare_marks(
        &self,
        ready: &std::sync::Arc<Ready>,
    ) -> Result<(), RedisError> {
        match newest(&ready.link, &ready.calls).await? {
            Some(number) if number > ready.epoch.number => self.retire(ready),
            Some(number) if number == ready.epoch.number => {}
            // One that is full need not take it.
            _ => drop(ready.link.query::<()>(&ready.calls.begun()).await),
        }
        Ok(())
    }

    /// After all announcements were read, and told to Redis.
    pub(crate) async fn mark_followed(&self) {
        let last = self.ears.followed_again();
        if last.is_some_and(|last| last > FOLLOWED) {
            self.distrust("what was announced could not be read for long");
        }
        let Some(ready) = self.ready() else { return };
        if self.ears.is_mark_due(ready.epoch, FOLLOWS_AGAIN) {
            // A Redis that is full need not take it: then it lapses.
            let marked = ready.link.query::<()>(&ready.calls.followed()).await;
            if let Err(error) = marked
                && error.code() != Some("OOM")
            {
                self.give_up(&ready, &error);
            }
        }
    }

    /// Tells the others that this instance cannot write for now what it acknowledged.
    pub(crate) async fn tell_of_being_behind(&self) {
        if let Some(ready) = self.ready() {
            let mark = set(
                &ready.calls.names.behind(),
                1,
                4 * self.settings.others_write_within,
            );
            self.ask::<()>(&ready, "mark", &mark).await;
        }
    }

    /// Whether what the database knows may not be all that was acknowledged. Yes, if Redis does not tell.
    pub(crate) async fn is_somebody_behind(&self) -> bool {
        let Some(ready) = self.ready() else {
            return true;
        };
        is_there(&ready.link, ready.calls.names.behind())
            .await
            .unwrap_or(true)
    }
}
