//! What instances leave for each other in Redis beside sessions and limits. Each mark may be lost at any time; what is missing
//! then stands for the careful answer.

use std::sync::Arc;
use std::time::Duration;

use countersign_domain::SessionId;
use countersign_store::StoreError;
use redis::{Cmd, RedisError, Value};

use crate::calls::Calls;
use crate::instance::{Core, Ready};
use crate::link::Link;

/// An announcement lives for more than twice as long, so nothing was missed while the mark was there. A session whose
/// end was announced and forgotten while nobody listened would go on in Redis for ever.
const FOLLOWED: Duration = Duration::from_secs(30 * 60);

/// How often it is renewed.
pub(crate) const FOLLOWS_AGAIN: Duration = Duration::from_secs(60);

/// Missing, this mark would stand for the careless answer. So there are several of it: a Redis that is full and throws out what
/// it likes does not throw out all of them within the moment until they are written again.
const BEHIND: std::ops::Range<u8> = 0..8;

/// Whoever is behind and then loses Redis too has so long to come back.
const BEHIND_FOR: Duration = Duration::from_secs(10);

/// How often a refresh waits for those who are behind: a second and a half with the default settings.
const WAITS: u32 = 3;

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
        get(self.names.newest())
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

fn expire(key: &str, lasts: Duration) -> Cmd {
    let mut expire = redis::cmd("PEXPIRE");
    expire
        .arg(key)
        .arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
    expire
}

fn get(key: String) -> Cmd {
    let mut get = redis::cmd("GET");
    get.arg(key);
    get
}

/// Whether somebody has followed lately what was announced in this epoch.
pub(crate) async fn is_followed(link: &Link, calls: &Calls) -> Result<bool, RedisError> {
    let followed = get(calls.names.followed());
    Ok(link.query::<Option<Vec<u8>>>(&followed).await?.is_some())
}

/// What is known there of epochs, by number; `None`: nothing.
pub(crate) async fn newest(link: &Link, calls: &Calls) -> Result<Option<u64>, RedisError> {
    link.query(&calls.newest()).await
}

impl Core {
    /// Leaves the epoch if another is known to have begun, which the database might have told if it could be asked. Otherwise
    /// makes sure that this one is known.
    pub(crate) async fn compare_marks(&self, ready: &Arc<Ready>) -> Result<(), RedisError> {
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
        let Some(ready) = self.ready() else { return };
        let mut marks = Vec::new();
        for number in BEHIND {
            let key = ready.calls.names.behind(number);
            let mut add = redis::cmd("HSET");
            add.arg(&key).arg(self.settings.nonce.as_slice()).arg(1);
            marks.extend([add, expire(&key, BEHIND_FOR)]);
        }
        if let Err(error) = ready.link.query_all(&marks).await {
            self.give_up(&ready, &error);
        }
    }

    /// Takes that back. Whether it could be.
    pub(crate) async fn tell_of_having_written(&self) -> bool {
        let Some(ready) = self.ready() else {
            return false;
        };
        let marks: Vec<_> = BEHIND
            .map(|number| {
                let mut remove = redis::cmd("HDEL");
                remove
                    .arg(ready.calls.names.behind(number))
                    .arg(self.settings.nonce.as_slice());
                remove
            })
            .collect();
        ready.link.query_all(&marks).await.is_ok()
    }

    /// Waits until the database knows of a session all that any instance acknowledged. `false`: Redis went away meanwhile, so
    /// nobody knows. Fails where somebody cannot write.
    pub(crate) async fn all_is_written(&self, session: SessionId) -> Result<bool, StoreError> {
        self.pending.flush_one(session, &*self.beneath).await?;
        for _ in 0..WAITS {
            tokio::time::sleep(self.settings.others_write_within).await;
            match self.is_somebody_behind().await {
                Some(true) => {}
                Some(false) => return Ok(true),
                None => return Ok(false),
            }
        }
        let text = "an instance cannot write what it acknowledged, which may be a rotation of this session";
        Err(StoreError::Unavailable(text.to_owned()))
    }

    /// Whether what the database knows may not be all that was acknowledged. `None`: Redis does not tell.
    async fn is_somebody_behind(&self) -> Option<bool> {
        let ready = self.ready()?;
        let marks: Vec<_> = BEHIND
            .map(|number| {
                let mut exists = redis::cmd("EXISTS");
                exists.arg(ready.calls.names.behind(number));
                exists
            })
            .collect();
        match ready.link.query_all(&marks).await {
            Ok(found) => Some(found.iter().any(|there| *there != Value::Int(0))),
            Err(error) => {
                self.give_up(&ready, &error);
                None
            }
        }
    }
}
