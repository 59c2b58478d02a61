//! One instance's view of Redis: whether it is trusted, and what it has yet to be told.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use countersign_domain::SessionId;
use countersign_store::{Authority, CopyEpoch, Store, StoreError};
use redis::{Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Settings;
use crate::alone::Alone;
use crate::calls::Calls;
use crate::debts::{Debt, Debts};
use crate::entry::Token;
use crate::figures::Figures;
use crate::link::{Dialer, Link};
use crate::news::Ears;
use crate::pending::Pending;

/// So often, every 10 ms, a look at the epoch is waited for.
const LOOKS: u32 = 200;

/// The store that stays the authority.
pub(crate) trait Beneath: Store + Authority {}
impl<S: Store + Authority> Beneath for S {}

/// Redis, trusted: it knows the scripts of the epoch, and has been told all that it must know.
pub(crate) struct Ready {
    pub(crate) link: Link,
    pub(crate) calls: Calls,
    pub(crate) epoch: CopyEpoch,
}

pub(crate) struct Core {
    pub(crate) beneath: Arc<dyn Beneath>,
    pub(crate) dialer: Dialer,
    pub(crate) settings: Settings,
    pub(crate) pending: Pending,
    pub(crate) figures: Figures,
    pub(crate) ears: Ears,
    ready: ArcSwapOption<Ready>,
    /// Held while `ready` is set, so that nothing becomes owed unnoticed at that moment.
    away: Mutex<Away>,
    tokens: AtomicU64,
    pub(crate) alone: tokio::sync::Mutex<Alone>,
    /// Redis can be used, but it is out of use until others need the database no more.
    pub(crate) waits_for_others: AtomicBool,
    pub(crate) pinging: AtomicBool,
    /// When the last look at the epoch began that has ended.
    looked: Mutex<Instant>,
    pub(crate) wake: Notify,
    pub(crate) closing: AtomicBool,
    pub(crate) closed: Notify,
}

pub(crate) struct Away {
    pub(crate) debts: Debts,
    /// How often it was found that what Redis holds may be old, or that something that ended may be
    /// live there, and how many of these findings a new epoch has settled.
    pub(crate) distrusts: u64,
    pub(crate) settled: u64,
    /// The epoch that was in use last, if nobody is known to have left it.
    pub(crate) last: Option<CopyEpoch>,
    /// When Redis was last given up, or a new epoch begun.
    since: Instant,
}

impl Away {
    pub(crate) fn is_distrusted(&self) -> bool {
        self.distrusts > self.settled
    }

    /// Adds to what Redis must be told. Where that is too much, only a new epoch helps.
    pub(crate) fn owe(&mut self, debts: Vec<(SessionId, Debt)>) {
        if !self.debts.add(debts) {
            self.distrusts += 1;
        }
    }
}

impl Core {
    pub(crate) fn new(beneath: Arc<dyn Beneath>, dialer: Dialer, settings: Settings) -> Self {
        Self {
            beneath,
            dialer,
            pending: Pending::new(settings.most_pending),
            figures: Figures::default(),
            ears: Ears::default(),
            ready: ArcSwapOption::empty(),
            away: Mutex::new(Away {
                debts: Debts::default(),
                distrusts: 0,
                settled: 0,
                last: None,
                since: Instant::now(),
            }),
            tokens: AtomicU64::new(0),
            alone: tokio::sync::Mutex::default(),
            waits_for_others: AtomicBool::new(false),
            pinging: AtomicBool::new(false),
            looked: Mutex::new(Instant::now()),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
            closed: Notify::new(),
            settings,
        }
    }

    /// Redis, if it is trusted.
    pub(crate) fn ready(&self) -> Option<Arc<Ready>> {
        self.ready.load_full()
    }

    /// Redis, if it is trusted and this instance would have heard if it were not to be. A process that stood still for a while
    /// looks first.
    pub(crate) async fn ready_now(&self) -> Option<Arc<Ready>> {
        let fresh = self.settings.look_holds_for();
        for _ in 0..LOOKS {
            let ready = self.ready()?;
            if self.looked().elapsed() < fresh {
                return Some(ready);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    pub(crate) fn note_look(&self, began: Instant) {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }

    fn looked(&self) -> Instant {
        *self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that no lease ever had.
    pub(crate) fn token(&self) -> Token {
        let mut token = [0; 16];
        let (start, end) = token.split_at_mut(8);
        start.copy_from_slice(&self.settings.nonce);
        let number = self.tokens.fetch_add(1, Ordering::Relaxed);
        end.copy_from_slice(&number.wrapping_add(1).to_be_bytes());
        token
    }

    /// Runs a command, and gives Redis up where it fails.
    pub(crate) async fn ask<T: FromRedisValue>(
        &self,
        ready: &Arc<Ready>,
        operation: &'static str,
        command: &Cmd,
    ) -> Option<T> {
        let began = Instant::now();
        let answer = ready.link.query(command).await;
        self.figures
            .note(operation, began.elapsed(), answer.is_err());
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.give_up(ready, &error);
                None
            }
        }
    }

    /// Trusts Redis no more until it has been looked after.
    pub(crate) fn give_up(&self, ready: &Arc<Ready>, error: &RedisError) {
        let mut away = self.lock();
        // A server that was demoted or has just loaded a dump may hold what is long over.
        if matches!(
            error.kind(),
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::BusyLoading)
        ) {
            away.distrusts += 1;
        }
        if self.is_current(ready) {
            tracing::warn!(place = self.dialer.place(), %error, "Redis is given up for a while; sessions go to the database");
            self.leave(&mut away);
        }
    }

    /// Has everything in Redis made worthless before it is trusted again.
    pub(crate) fn distrust(&self, why: &'static str) {
        let mut away = self.lock();
        away.distrusts += 1;
        tracing::warn!(why, "what Redis holds is not trusted; a new epoch begins");
        self.leave(&mut away);
    }

    /// Leaves an epoch that is over.
    pub(crate) fn retire(&self, ready: &Arc<Ready>) {
        let mut away = self.lock();
        if self.is_current(ready) {
            away.last = None;
            self.leave(&mut away);
        }
    }

    fn is_current(&self, ready: &Arc<Ready>) -> bool {
        let current = self.ready.load();
        current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, ready))
    }

    fn leave(&self, away: &mut Away) {
        self.ready.store(None);
        away.since = Instant::now();
        self.figures.trusted(false);
        self.wake.notify_one();
    }

    /// Tells Redis what it must know: at once (`true`), or before it is trusted again here. When this returns, no
    /// instance that trusts Redis goes on with what was told, unless Redis is out of reach.
    pub(crate) async fn tell(&self, debts: Vec<(SessionId, Debt)>) -> bool {
        while !debts.is_empty() {
            let ready = {
                let mut away = self.lock();
                match self.ready() {
                    Some(ready) => ready,
                    None => {
                        away.owe(debts);
                        return false;
                    }
                }
            };
            match self.pay(&ready.link, &ready.calls, &debts).await {
                Ok(()) => return true,
                Err(error) => self.give_up(&ready, &error),
            }
        }
        true
    }

    /// The same. Where Redis is out of reach from here, nobody trusts it when this returns.
    pub(crate) async fn tell_or_leave(
        &self,
        debts: Vec<(SessionId, Debt)>,
    ) -> Result<(), StoreError> {
        while !self.tell(debts.clone()).await && !self.leave_redis().await? {}
        Ok(())
    }

    /// Tells Redis.
    pub(crate) async fn pay(
        &self,
        link: &Link,
        calls: &Calls,
        debts: &[(SessionId, Debt)],
    ) -> Result<(), RedisError> {
        for some in debts.chunks(256) {
            let commands: Vec<_> = some
                .iter()
                .map(|(id, debt)| debt.command(*id, calls))
                .collect();
            let began = Instant::now();
            let mut done = link.query_all(&commands).await.map(drop);
            if done
                .as_ref()
                .is_err_and(|error| error.code() == Some("OOM"))
            {
                // Nothing can be written, but what must not go on can be forgotten: nobody makes a
                // session live who has not read the database since.
                let commands: Vec<_> = some.iter().map(|(id, _)| calls.forget(*id)).collect();
                done = link.query_all(&commands).await.map(drop);
            }
            self.figures.note("tell", began.elapsed(), done.is_err());
            done?;
        }
        Ok(())
    }

    /// Begins to trust Redis, unless something urgent has become owed meanwhile. Answers what else is
    /// left to be told.
    pub(crate) fn trust(&self, ready: Ready) -> Option<Vec<(SessionId, Debt)>> {
        let mut away = self.lock();
        if away.debts.urgent_for().is_some() || away.is_distrusted() {
            return None;
        }
        if away.last.replace(ready.epoch) != Some(ready.epoch) {
            self.ears.forget_what_was_applied();
        }
        self.ready.store(Some(Arc::new(ready)));
        self.figures.trusted(true);
        Some(away.debts.take())
    }

    /// Begins a new epoch `by` after `after`, to which everybody moves. It pays all that was owed, and settles
    /// all that was distrusted, before it began.
    pub(crate) async fn next_epoch(
        &self,
        after: CopyEpoch,
        by: u64,
    ) -> Result<CopyEpoch, StoreError> {
        let (debts, distrusts) = {
            let mut away = self.lock();
            (away.debts.take(), away.distrusts)
        };
        let begun = self.beneath.next_copy_epoch(after, after.number + by).await;
        let mut away = self.lock();
        match &begun {
            Ok(epoch) => {
                tracing::info!(
                    epoch = epoch.number,
                    "a new epoch of the sessions in Redis begins"
                );
                away.settled = away.settled.max(distrusts);
                away.since = Instant::now();
            }
            Err(_) => away.owe(debts),
        }
        begun
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Away> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits a moment, if Redis has only just been given up: often it is there again.
    pub(crate) async fn is_back_at_once(&self) -> bool {
        let since = self.lock().since;
        let left = (since + self.settings.back_within()).saturating_duration_since(Instant::now());
        self.is_trusted_soon(left).await
    }
}
