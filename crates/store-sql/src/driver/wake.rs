//! Wake-ups between instances on PostgreSQL: `NOTIFY` says that there is something new, and nothing more. The table tells
//! what, and is looked at anyway, so that a wake-up may be lost.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use countersign_store::StoreError;
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::postgres::Lease;

const CHANNEL: &str = "countersign";
/// Asks nothing of others: whoever sent it wants to know whether it comes back.
const PROBE: &str = "probe";
const TELL: &str = "SELECT pg_notify($1, $2)";
/// Whoever only listens is idle for good, which is right. The setting is unknown before PostgreSQL 14.
const STAY: &str = "SELECT set_config('idle_session_timeout', '0', false) FROM pg_settings \
    WHERE name = 'idle_session_timeout'";
const WHO: &str = "SELECT pg_backend_pid()";

/// At least so long between two wake-ups that one instance sends, and between two looks that it takes. PostgreSQL lets
/// only one transaction that notifies commit at a time, in the whole database cluster.
const APART: Duration = Duration::from_millis(10);
/// How long to wait for a connection to listen on, and for the answers before listening begins.
const CONNECT: Duration = Duration::from_secs(5);
/// How long until the first new attempt to listen, and the longest pause between two.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often the way of a wake-up is tried out, and for how long to wait for it.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBE_WAITS: Duration = Duration::from_secs(5);
/// How long until it is tried again where wake-ups do not arrive at all.
const DEAF_PAUSE: Duration = Duration::from_secs(60);
/// How long the end waits for the last wake-up to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

/// The backend's number that stands for nobody.
const NOBODY: i64 = 0;

/// Sends wake-ups, one at a time.
pub(super) struct Bell {
    pool: PgPool,
    state: watch::Sender<Ringing>,
    /// The backend that listens for this instance, which need not be woken by what it said itself.
    own: Arc<AtomicI64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ringing {
    No,
    Yes,
    /// Something was committed since the last wake-up was begun.
    Again,
}

impl Bell {
    pub(super) fn new(pool: PgPool, own: Arc<AtomicI64>) -> Self {
        Self {
            pool,
            state: watch::Sender::new(Ringing::No),
            own,
        }
    }

    /// Has others look, soon. Nobody waits for it: what was told while one wake-up was under way goes with the next.
    pub(super) fn ring(self: &Arc<Self>) {
        let mut idle = false;
        self.state.send_modify(|state| {
            idle = *state == Ringing::No;
            *state = match idle {
                true => Ringing::Yes,
                false => Ringing::Again,
            };
        });
        if idle {
            tokio::spawn(Arc::clone(self).ring_out());
        }
    }

    async fn ring_out(self: Arc<Self>) {
        loop {
            let who = self.own.load(Ordering::Acquire).to_string();
            if let Err(error) = tell(&self.pool, &who).await {
                tracing::debug!(%error, "others are not woken, and look by themselves");
            }
            sleep(APART).await;
            let mut again = false;
            self.state.send_modify(|state| {
                again = *state == Ringing::Again;
                *state = match again {
                    true => Ringing::Yes,
                    false => Ringing::No,
                };
            });
            if !again {
                return;
            }
        }
    }

    /// Waits until the last wake-up was sent, but not for long.
    pub(super) async fn silence(&self) {
        let mut state = self.state.subscribe();
        let silent = state.wait_for(|state| *state == Ringing::No);
        // Too slow a database is looked at by the others themselves.
        let _ = timeout(FAREWELL, silent).await;
    }
}

async fn tell(pool: &PgPool, words: &str) -> Result<(), StoreError> {
    let values = vec![CHANNEL.into(), words.into()];
    Lease::of(pool).await?.run(TELL, values).await?;
    Ok(())
}

/// Hears wake-ups, from the first time on that it is asked to.
pub(super) struct Ear {
    begun: Once,
    heard: Arc<Heard>,
    options: PgConnectOptions,
    pool: PgPool,
    /// Ends the listening when it says so, and when it is dropped.
    stop: watch::Sender<bool>,
}

/// What the one who listens and the one who looks share.
struct Heard {
    woken: Notify,
    /// Looks are taken one at a time, and not too often.
    last_look: tokio::sync::Mutex<Option<Instant>>,
    own: Arc<AtomicI64>,
}

impl Ear {
    pub(super) fn new(options: PgConnectOptions, pool: PgPool, own: Arc<AtomicI64>) -> Self {
        let heard = Heard {
            woken: Notify::new(),
            last_look: tokio::sync::Mutex::default(),
            own,
        };
        Self {
            begun: Once::new(),
            heard: Arc::new(heard),
            options,
            pool,
            stop: watch::Sender::new(false),
        }
    }

    /// Whether wake-ups of others arrive; `None`: nobody has asked for them.
    pub(super) fn hears(&self) -> Option<bool> {
        let own = || self.heard.own.load(Ordering::Acquire);
        self.begun.is_completed().then(|| own() != NOBODY)
    }

    /// Waits for a wake-up. Whoever is woken looks while holding the answer.
    pub(super) async fn woken(&self) -> Woken<'_> {
        self.begun.call_once(|| {
            let listener = Listener {
                heard: Arc::clone(&self.heard),
                options: self.options.clone(),
                pool: self.pool.clone(),
                stop: self.stop.subscribe(),
            };
            tokio::spawn(listener.run());
        });
        let mut last = self.heard.last_look.lock().await;
        self.heard.woken.notified().await;
        let woken = Woken {
            heard: Some(&self.heard),
        };
        if let Some(last) = *last {
            sleep_until(last + APART).await;
        }
        *last = Some(Instant::now());
        woken
    }

    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// A wake-up that was heard. Dropped before its look is done, it is heard again.
pub(crate) struct Woken<'a> {
    heard: Option<&'a Heard>,
}

impl Woken<'_> {
    /// Says that whoever was woken has looked.
    pub(crate) fn looked(mut self) {
        self.heard = None;
    }
}

impl Drop for Woken<'_> {
    fn drop(&mut self) {
        if let Some(heard) = self.heard {
            heard.woken.notify_one();
        }
    }
}

struct Listener {
    heard: Arc<Heard>,
    options: PgConnectOptions,
    pool: PgPool,
    stop: watch::Receiver<bool>,
}

/// Why listening ended.
#[derive(Debug)]
enum End {
    /// It could not begin, or the connection was lost.
    Lost(String),
    /// What was sent does not arrive.
    Deaf,
}

impl Listener {
    async fn run(mut self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            // An error: the store is gone.
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.listen() => {}
        }
        self.heard.own.store(NOBODY, Ordering::Release);
    }

    /// Listens, again and again. What goes wrong is said once, until it is well again.
    async fn listen(&mut self) {
        let mut pause = PAUSE;
        let mut said = false;
        loop {
            let mut well = false;
            let end = self.listen_once(&mut well, &mut said).await;
            self.heard.own.store(NOBODY, Ordering::Release);
            if well {
                pause = PAUSE;
            }
            let waits = match &end {
                End::Lost(_) => pause,
                End::Deaf if well => pause,
                End::Deaf => DEAF_PAUSE,
            };
            match end {
                _ if said => {}
                End::Lost(error) => tracing::warn!(
                    error,
                    "cannot listen for news of other instances: the database is asked twice a second until it goes again"
                ),
                End::Deaf => tracing::warn!(
                    "news of other instances (NOTIFY) do not arrive here: the database is asked twice a second instead. \
                     Behind a connection pooler that is so unless it pools by session"
                ),
            }
            said = true;
            sleep(waits).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn listen_once(&self, well: &mut bool, said: &mut bool) -> End {
        // A pool of its own for each attempt: what became of the last connection is no matter.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(CONNECT)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(self.options.clone());
        let begun = timeout(CONNECT, begin(&pool)).await;
        let (mut listener, own) = match begun {
            Ok(Ok(begun)) => begun,
            Ok(Err(error)) => return End::Lost(error.to_string()),
            Err(_) => return End::Lost(format!("no answer within {} s", CONNECT.as_secs())),
        };
        let mut probes = Probes::new(own);
        loop {
            tokio::select! {
                heard = listener.try_recv() => match heard {
                    Ok(Some(heard)) if probes.came_back(heard.payload()) => {
                        if !*well {
                            *well = true;
                            self.heard.own.store(own, Ordering::Release);
                            // What was announced before.
                            self.heard.woken.notify_one();
                            if std::mem::take(said) {
                                tracing::info!("news of other instances arrive at once again");
                            }
                        }
                    }
                    Ok(Some(heard)) if heard.payload().starts_with(PROBE) => {}
                    Ok(Some(heard)) if heard.payload() == own.to_string() => {}
                    Ok(Some(_)) => self.heard.woken.notify_one(),
                    Ok(None) => return End::Lost("the connection was closed".to_owned()),
                    Err(error) => return End::Lost(error.to_string()),
                },
                step = probes.next(&self.pool) => match step {
                    Step::Sent => {}
                    Step::NotSent(error) if !*well => return End::Lost(error),
                    // The pool is busy or the database away: that says nothing about the ear.
                    Step::NotSent(_) => {}
                    Step::Missing => return End::Deaf,
                },
            }
        }
    }
}

/// Wake-ups that a listener sends itself. They are sent from the pool: a connection that a pooler lends out would hear
/// what it says itself, and nothing else.
struct Probes {
    own: i64,
    /// How many were sent, or are being sent.
    sent: u64,
    came_back: u64,
    next_at: Instant,
    under_way: Option<JoinHandle<Result<(), StoreError>>>,
    /// When the last one is missing.
    missing_at: Option<Instant>,
}

enum Step {
    Sent,
    NotSent(String),
    Missing,
}

impl Probes {
    fn new(own: i64) -> Self {
        Self {
            own,
            sent: 0,
            came_back: 0,
            next_at: Instant::now(),
            under_way: None,
            missing_at: None,
        }
    }

    /// Whether this is one of them.
    fn came_back(&mut self, payload: &str) -> bool {
        let start = format!("{PROBE} {} ", self.own);
        let number = payload.strip_prefix(&start).and_then(|n| n.parse().ok());
        let Some(number) = number else { return false };
        self.came_back = self.came_back.max(number);
        self.missing_at = self.missing_at.filter(|_| self.came_back < self.sent);
        true
    }

    /// Sends the next one when it is time. May be dropped at any time.
    async fn next(&mut self, pool: &PgPool) -> Step {
        if self.under_way.is_none() {
            match self.missing_at {
                Some(at) => {
                    sleep_until(at).await;
                    return Step::Missing;
                }
                None => sleep_until(self.next_at).await,
            }
            self.sent += 1;
            self.next_at = Instant::now() + PROBE_EVERY;
            let words = format!("{PROBE} {} {}", self.own, self.sent);
            let pool = pool.clone();
            self.under_way = Some(tokio::spawn(async move { tell(&pool, &words).await }));
        }
        let Some(sending) = self.under_way.as_mut() else {
            return Step::Sent;
        };
        let sent = sending.await;
        self.under_way = None;
        match sent {
            Ok(Ok(())) => {
                // It may be back before its sender knows that it was sent.
                let missing = self.came_back < self.sent;
                self.missing_at = missing.then(|| Instant::now() + PROBE_WAITS);
                Step::Sent
            }
            Ok(Err(error)) => Step::NotSent(error.to_string()),
            Err(error) => Step::NotSent(error.to_string()),
        }
    }
}

/// A listener, and the number of its backend.
async fn begin(pool: &PgPool) -> Result<(PgListener, i64), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    // Whoever listens again has to look, so the listening ends here with its connection.
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    sqlx::query(STAY).fetch_optional(&mut listener).await?;
    let own: i32 = sqlx::query(WHO)
        .fetch_one(&mut listener)
        .await?
        .try_get(0)?;
    listener.listen(CHANNEL).await?;
    Ok((listener, own.into()))
}
