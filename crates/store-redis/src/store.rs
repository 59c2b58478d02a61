use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use countersign_store::{Authority, Closed, Store, StoreError};
use prometheus_client::registry::Registry;

use crate::ConnectError;
use crate::instance::Core;
use crate::keeper::{Kept, Unfit};
use crate::link::{Dialer, Patience};
use crate::url::RedisUrl;

/// How Redis is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub url: RedisUrl,
    /// A file of certificates, as PEM, of those who may vouch for its servers; the system's otherwise.
    pub ca_file: Option<PathBuf>,
    /// For how long to wait for it.
    pub patience: Patience,
    /// How often acknowledged rotations are written to the database.
    pub write_every: Duration,
    /// Within this time other instances have written what they held back: at least twice `write_every`. A quarter of it is how often
    /// they look whether Redis is out of use, and twice of it how long they may take to leave it, so it must cover `patience` as well.
    pub others_write_within: Duration,
    /// How many rotations may wait for the database. When there are more, refreshes fail until it is back.
    pub most_pending: usize,
    /// Random bytes of this instance's own.
    pub nonce: [u8; 8],
}

impl Settings {
    /// The usual ones. `nonce`: 8 random bytes that no other instance, and no earlier run of this one, has.
    pub fn new(url: RedisUrl, nonce: [u8; 8]) -> Self {
        Self {
            url,
            ca_file: None,
            patience: Patience::default(),
            write_every: Duration::from_millis(200),
            others_write_within: Duration::from_millis(500),
            most_pending: 200_000,
            nonce,
        }
    }
}

/// A store with a copy of its sessions, and its limits, in Redis. Redis may be lost at any time.
pub struct RedisStore {
    pub(crate) core: Arc<Core>,
}

impl RedisStore {
    /// Puts Redis before `beneath`. Waits a few seconds at most. A Redis that is out of reach is no error: it is used
    /// as soon as it is there.
    pub async fn open(
        beneath: impl Store + Authority,
        settings: Settings,
    ) -> Result<Self, ConnectError> {
        let dialer = Dialer::new(
            settings.url.clone(),
            settings.ca_file.as_deref(),
            settings.patience,
        )?;
        let place = dialer.place();
        let core = Arc::new(Core::new(Arc::new(beneath), dialer, settings));
        if let Err(error) = core.recover(&mut Kept::default()).await {
            if let Unfit::TooOld(version) = error {
                return Err(ConnectError::TooOld(place, version));
            }
            if error.is_refusal() {
                return Err(ConnectError::Refused(place, error.to_string()));
            }
            tracing::warn!(place, %error, "Redis is away; sessions are refreshed in the database");
        }
        tokio::spawn(Arc::clone(&core).keep());
        tokio::spawn(Arc::clone(&core).write_behind());
        tokio::spawn(Arc::clone(&core).hear());
        Ok(Self { core })
    }

    /// Whether sessions are refreshed in Redis at this moment.
    pub fn is_trusted(&self) -> bool {
        self.core.ready().is_some()
    }

    /// Has `registry` show how Redis does.
    pub fn register(&self, registry: &mut Registry) {
        self.core.register(registry);
    }

    /// Writes what is held back, and pays what is owed. To be called when no more requests are served, and before the
    /// store beneath is closed. Gives up after `patience`.
    pub async fn close(&self, patience: Duration) {
        self.stop();
        let core = &self.core;
        let farewell = async {
            while let Err(error) = core.pending.flush(&*core.beneath).await {
                tracing::warn!(%error, "rotations are still held back");
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            let owes = core.lock().debts.urgent_for().is_some() || core.lock().is_distrusted();
            if owes && core.recover(&mut Kept::default()).await.is_err() {
                core.pay_with_an_epoch().await;
            }
        };
        if tokio::time::timeout(patience, farewell).await.is_err() {
            let (rotations, _) = core.pending.backlog();
            tracing::error!(
                rotations,
                "rotations are lost; clients will bring the proof of them"
            );
        }
    }

    fn stop(&self) {
        self.core.closing.store(true, Ordering::Release);
        self.core.wake.notify_one();
        self.core.closed.notify_one();
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("trusted", &self.is_trusted())
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Runs work to its end, also where whoever waits for it goes away: what the database has
    /// committed must reach Redis.
    pub(crate) async fn detached<T, F>(
        &self,
        work: impl FnOnce(Arc<Core>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        match tokio::spawn(work(Arc::clone(&self.core))).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Unavailable(format!(
                "a task ended early: {error}"
            ))),
        }
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.core.beneath.ping().await
    }

    fn copy_in_use(&self) -> Option<bool> {
        Some(self.is_trusted())
    }

    fn closed(&self) -> Option<Closed> {
        self.core.beneath.closed()
    }
}
