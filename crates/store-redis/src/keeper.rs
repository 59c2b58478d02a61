//! Looks after Redis: makes it fit to be trusted, and finds out when it is not any more.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use countersign_store::{CopyEpoch, StoreError};
use redis::{ErrorKind, RedisError, Value};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::alone::{Stillness, is_out_of_use};
use crate::calls::Calls;
use crate::examine::{is_too_old, version};
use crate::instance::{Core, Ready};
use crate::link::{Everywhere, Link};
use crate::marks;
use crate::names::Names;

/// How often a connection is tried while there is none.
const TRY: Duration = Duration::from_millis(250);

/// How long the database has to tell the epoch.
const DATABASE: Duration = Duration::from_secs(2);

/// What could not be told for so long is paid with a new epoch, which also holds where this instance ends
/// before Redis is back. Other instances follow what ended in any case; for them a new epoch is the
/// dearer way.
const LONGEST_DEBT: Duration = Duration::from_secs(60);

/// Why Redis cannot be trusted yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("it is version {0}; version 7 or newer is needed")]
    TooOld(String),
    #[error("other instances begin one epoch after the other")]
    Unsettled,
    #[error("sessions are refreshed in the database until all instances can use Redis")]
    OutOfUse,
}

impl Unfit {
    /// An operator has to do something about it.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Redis(error) if is_refusal(error))
    }
}

pub(crate) fn is_refusal(error: &RedisError) -> bool {
    let refused = |code| matches!(code, "NOAUTH" | "WRONGPASS" | "NOPERM");
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig
    ) || error.code().is_some_and(refused)
}

impl Core {
    /// Runs until the store is closed.
    pub(crate) async fn keep(self: Arc<Self>) {
        let mut last_failure = String::new();
        let mut kept = Kept::default();
        while !self.closing.load(Ordering::Acquire) {
            let pause = match self.ready() {
                Some(ready) => {
                    kept.link = None;
                    self.ping(&ready);
                    self.look(&ready).await;
                    self.settings.look_every()
                }
                None => {
                    let recovered = self.recover(&mut kept).await;
                    let waits = matches!(recovered, Err(Unfit::OutOfUse));
                    self.waits_for_others.store(waits, Ordering::Release);
                    match recovered {
                        Ok(()) => last_failure.clear(),
                        Err(error) => {
                            let text = error.to_string();
                            if text != last_failure {
                                tracing::warn!(
                                    place = self.dialer.place(),
                                    error = text,
                                    "Redis is away"
                                );
                                last_failure = text;
                            }
                            self.settle_old_debts().await;
                        }
                    }
                    TRY
                }
            };
            // Woken, it still leaves others a moment: a Redis that fails at once must not be tried
            // without end.
            let woken = tokio::time::timeout(pause, self.wake.notified()).await;
            if woken.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Finds out whether Redis still answers. Nothing waits for that.
    fn ping(self: &Arc<Self>, ready: &Arc<Ready>) {
        if self.pinging.swap(true, Ordering::AcqRel) {
            return;
        }
        let (core, ready) = (Arc::clone(self), Arc::clone(ready));
        tokio::spawn(async move {
            let ping = redis::cmd("PING");
            let ping = ready.link.everywhere(ping, Everywhere::AllSucceed);
            let (pong, compared) = tokio::join!(ping, core.compare_marks(&ready));
            if let Err(error) = pong.map(drop).and(compared) {
                core.give_up(&ready, &error);
            }
            core.pinging.store(false, Ordering::Release);
        });
    }

    /// Finds out whether the epoch is still in force.
    async fn look(&self, ready: &Arc<Ready>) {
        let began = Instant::now();
        let look = self.beneath.copy_epoch(ready.epoch.installation);
        // If it does not answer here, others may still have begun one: the marks in Redis tell.
        if let Ok(Ok(epoch)) = timeout(self.settings.look_every(), look).await
            && epoch != ready.epoch
        {
            self.retire(ready);
        }
        self.note_look(began);
    }

    /// Connects, and makes Redis fit to be trusted.
    pub(crate) async fn recover(&self, kept: &mut Kept) -> Result<(), Unfit> {
        let link = match kept.link.take() {
            Some(link) => link,
            None => self.connect().await?,
        };
        let mut looked = Instant::now();
        let asked = timeout(DATABASE, self.beneath.copy_epoch(self.candidate()));
        let Ok(Ok(mut epoch)) = asked.await else {
            return self.go_back(&link, looked).await;
        };
        for _ in 0..5 {
            let calls = Calls::new(Names::new(epoch.installation, epoch.number));
            let out_of_use = is_out_of_use(epoch);
            if out_of_use && !kept.stillness.is_enough(epoch, &self.settings) {
                probe(&link, &calls).await?;
                // Whoever is cut off from the database alone learns it here.
                link.query::<()>(&calls.begun()).await?;
                kept.link = Some(link);
                return Err(Unfit::OutOfUse);
            }
            let distrusted = self.lock().is_distrusted();
            if out_of_use || distrusted || !is_fit(&link, &calls).await? {
                looked = Instant::now();
                epoch = self
                    .next_epoch(epoch, if out_of_use { 1 } else { 2 })
                    .await?;
                if !is_out_of_use(epoch) {
                    let calls = Calls::new(Names::new(epoch.installation, epoch.number));
                    begin(&link, &calls).await?;
                }
                continue;
            }
            if self.take_up(&link, calls, epoch, looked).await? {
                return Ok(());
            }
        }
        Err(Unfit::Unsettled)
    }

    async fn connect(&self) -> Result<Link, Unfit> {
        let link = self.dialer.connect().await?;
        match version(&link).await {
            Some(version) if is_too_old(&version) => Err(Unfit::TooOld(version)),
            _ => Ok(link),
        }
    }

    /// The database cannot be asked. A Redis that had only been out of reach for a moment is as good as before, unless others
    /// have left that epoch meanwhile.
    async fn go_back(&self, link: &Link, looked: Instant) -> Result<(), Unfit> {
        let (last, distrusted) = {
            let away = self.lock();
            (away.last, away.is_distrusted())
        };
        if let (Some(epoch), false) = (last, distrusted) {
            let calls = Calls::new(Names::new(epoch.installation, epoch.number));
            let newest = marks::newest(link, &calls).await?;
            if newest == Some(epoch.number)
                && is_fit(link, &calls).await?
                && self.take_up(link, calls, epoch, looked).await?
            {
                return Ok(());
            }
        }
        let text = "the database does not tell the epoch";
        Err(StoreError::Unavailable(text.to_owned()).into())
    }

    /// Tells Redis what it has missed, and trusts it; not if there is more that it must know first.
    async fn take_up(
        &self,
        link: &Link,
        calls: Calls,
        epoch: CopyEpoch,
        looked: Instant,
    ) -> Result<bool, Unfit> {
        probe(link, &calls).await?;
        let debts = self.lock().debts.take();
        if let Err(error) = self.pay(link, &calls, &debts).await {
            self.lock().owe(debts);
            return Err(error.into());
        }
        let link = link.clone();
        let ready = Ready { link, calls, epoch };
        self.note_look(looked);
        let Some(rest) = self.trust(ready) else {
            return Ok(false);
        };
        tracing::info!(
            place = self.dialer.place(),
            epoch = epoch.number,
            "Redis is trusted"
        );
        self.tell(rest).await;
        Ok(true)
    }

    /// Leaves the epoch unless the database says that it is still in force.
    pub(crate) async fn leave_what_is_over(&self) {
        if let Some(ready) = self.ready()
            && self.beneath.copy_epoch(ready.epoch.installation).await.ok() != Some(ready.epoch)
        {
            self.retire(&ready);
        }
    }

    /// Pays what has been owed for long with a new epoch.
    async fn settle_old_debts(&self) {
        let due = {
            let away = self.lock();
            away.debts
                .urgent_for()
                .is_some_and(|owed| owed >= LONGEST_DEBT)
        };
        if due {
            self.pay_with_an_epoch().await;
        }
    }

    /// Makes everything in Redis worthless for everybody. Where the database cannot be asked to, Redis
    /// is not trusted here until it can.
    pub(crate) async fn pay_with_an_epoch(&self) {
        let current = self.ready();
        let begun = async {
            let epoch = match &current {
                // That of others who do the same for the same reason, so that one epoch is enough.
                Some(ready) => ready.epoch,
                None => self.beneath.copy_epoch(self.candidate()).await?,
            };
            self.next_epoch(epoch, 2).await
        };
        match (begun.await, current) {
            (Ok(_), Some(ready)) => self.retire(&ready),
            (Ok(_), None) => {}
            (Err(error), _) => {
                tracing::warn!(%error, "no new epoch of the sessions in Redis could be begun");
                self.distrust("what ended could not be told");
            }
        }
    }

    /// Writes what is held back, again and again, until the store is closed. Where that takes long, or fails, the others are told.
    pub(crate) async fn write_behind(self: Arc<Self>) {
        let (mut failing, mut told) = (false, false);
        while !self.closing.load(Ordering::Acquire) {
            let pause = tokio::time::sleep(self.settings.write_every);
            tokio::select! {
                () = pause => {}
                () = self.closed.notified() => {}
            }
            let written = self.write_or_tell(&mut told).await;
            if let Err(error) = &written
                && !failing
            {
                tracing::warn!(%error, "rotations are held back; the database does not take them");
            }
            failing = written.is_err();
            if told && !failing {
                told = !self.tell_of_having_written().await;
            }
        }
    }

    async fn write_or_tell(&self, told: &mut bool) -> Result<(), StoreError> {
        let mut writing = pin!(self.pending.flush(&*self.beneath));
        let written = loop {
            tokio::select! {
                written = &mut writing => break written,
                () = tokio::time::sleep(self.settings.others_write_within / 2) => {}
            }
            *told = true;
            self.tell_of_being_behind().await;
        };
        if written.is_err() {
            *told = true;
            self.tell_of_being_behind().await;
        }
        written
    }

    /// What this installation is called if it has no name yet.
    pub(crate) fn candidate(&self) -> Uuid {
        let token = self.token();
        uuid::Builder::from_random_bytes(token).into_uuid()
    }
}

/// What is kept from one attempt to the next.
#[derive(Default)]
pub(crate) struct Kept {
    link: Option<Link>,
    stillness: Stillness,
}

/// Makes the epoch one that can be taken up. Nothing of it can have been missed, which must be said before anybody finds
/// the scripts.
async fn begin(link: &Link, calls: &Calls) -> Result<(), RedisError> {
    link.query::<()>(&calls.followed()).await?;
    link.query::<()>(&calls.begun()).await?;
    for teach in calls.scripts.teach() {
        link.everywhere(teach, Everywhere::AllSucceed).await?;
    }
    Ok(())
}

/// Whether what Redis holds of the epoch is all that it was told, and it was told all.
async fn is_fit(link: &Link, calls: &Calls) -> Result<bool, RedisError> {
    Ok(knows(link, calls).await? && marks::is_followed(link, calls).await?)
}

/// Whether every server knows the scripts of the epoch.
async fn knows(link: &Link, calls: &Calls) -> Result<bool, RedisError> {
    let answer = link
        .everywhere(calls.scripts.known(), Everywhere::AllAgree)
        .await?;
    let Value::Array(answers) = answer else {
        return Ok(false);
    };
    Ok(!answers.is_empty() && answers.iter().all(|one| *one == Value::Int(1)))
}

/// Finds out whether writing works. On a Cluster, on one of its servers.
async fn probe(link: &Link, calls: &Calls) -> Result<(), RedisError> {
    let mut set = redis::cmd("SET");
    set.arg(calls.names.probe()).arg(1).arg("PX").arg(60_000);
    link.query(&set).await
}
