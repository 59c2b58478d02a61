#![allow(
    clippy::disallowed_methods,
    reason = "the pool measures how long tasks wait"
)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use countersign_domain::address::AddressBlock;
use countersign_domain::password::{NewPassword, PasswordHash, PresentedPassword, Scheme};
use tokio::sync::oneshot;

use super::Checked;
use super::engine::{Engine, OneByOne, Taken, Task, Work};
use super::load::{Load, Turn};
use super::priority;
use super::queue::{FairQueue, Room};
use super::side_by_side::SideBySide;
use crate::fault::Overloaded;

/// How the pool is built.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// How new passwords are hashed.
    pub scheme: Scheme,
    /// How many threads hash. More than there are cores only adds waiting.
    pub workers: NonZeroUsize,
    /// How many bcrypts each thread computes side by side, at most 6. With one, the `bcrypt` crate
    /// computes them, one after the other.
    pub lanes: NonZeroUsize,
    /// Work is refused when it would wait longer than this.
    pub longest_wait: Duration,
}

impl PoolSettings {
    pub(super) fn engine(&self) -> Box<dyn Engine> {
        match self.lanes.get() {
            1 => Box::new(OneByOne::new(self.scheme)),
            lanes => Box::new(SideBySide::new(self.scheme, lanes)),
        }
    }
}

/// The hashing threads and their queue. They start with the first task; dropping the pool ends
/// them.
pub struct HashPool {
    shared: Arc<Shared>,
    started: OnceLock<()>,
}

struct Shared {
    settings: PoolSettings,
    queue: Mutex<Queue>,
    filled: Condvar,
    load: Arc<Load>,
    /// Tasks taken up so far. Counted before the answer goes out, so that whoever has the answer
    /// finds it counted.
    computed: AtomicU64,
    /// How long all of them have waited, in nanoseconds.
    waited_nanos: AtomicU64,
}

/// The pool at one moment.
#[derive(Clone, Copy, Debug)]
pub struct HashingFigures {
    /// Tasks in the queue.
    pub waiting: usize,
    /// Tasks that threads are at.
    pub running: usize,
    /// Tasks taken up so far.
    pub computed: u64,
    /// How long all of them have waited.
    pub waited: Duration,
    /// How long it takes until all that waits now has been computed.
    pub expected_wait: Duration,
}

#[derive(Default)]
struct Queue {
    waiting: FairQueue<Task>,
    closed: bool,
}

impl HashPool {
    /// A pool that starts its threads when they are first needed.
    pub fn new(settings: PoolSettings) -> Self {
        let shared = Shared {
            settings,
            queue: Mutex::default(),
            filled: Condvar::new(),
            load: Arc::new(Load::new(&settings)),
            computed: AtomicU64::new(0),
            waited_nanos: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
            started: OnceLock::new(),
        }
    }

    /// Compares a presented password with what is stored. Takes the same work whether or not
    /// there is anything stored.
    pub async fn check(
        &self,
        from: AddressBlock,
        presented: PresentedPassword,
        stored: Option<String>,
    ) -> Result<Checked, Overloaded> {
        let (answer, result) = oneshot::channel();
        self.submit(
            from,
            Work::Check {
                presented,
                stored,
                answer,
            },
            result,
        )
        .await
    }

    /// Whether somebody from there would be refused now. Asked before anything else is done for a
    /// sign-in, so that a flood of them costs little.
    pub fn admit(&self, from: AddressBlock) -> Result<(), Overloaded> {
        let mut queue = self.shared.lock();
        match queue.waiting.admits(from, self.shared.room(), gone) {
            true => Ok(()),
            false => Err(self.shared.overloaded_with(&queue, from)),
        }
    }

    /// Hashes a new password.
    pub async fn hash(
        &self,
        from: AddressBlock,
        password: NewPassword,
        salt: [u8; 16],
    ) -> Result<PasswordHash, Overloaded> {
        let (answer, result) = oneshot::channel();
        self.submit(
            from,
            Work::Hash {
                password,
                salt,
                answer,
            },
            result,
        )
        .await
    }

    /// Hashes a password that was right with the configured scheme.
    pub async fn rehash(
        &self,
        from: AddressBlock,
        presented: PresentedPassword,
        salt: [u8; 16],
    ) -> Result<Option<PasswordHash>, Overloaded> {
        let (answer, result) = oneshot::channel();
        self.submit(
            from,
            Work::Rehash {
                presented,
                salt,
                answer,
            },
            result,
        )
        .await
    }

    /// How many hashes have been taken up, for tests that compare the work of two requests and
    /// for metrics.
    pub fn computed(&self) -> u64 {
        self.shared.computed.load(Ordering::Relaxed)
    }

    /// How long one hash takes, as measured so far.
    pub fn pace(&self) -> Duration {
        self.shared.load.pace()
    }

    /// Hashes once for nobody, so that the pace is known before the first sign-in.
    pub async fn measure(&self) -> Result<Duration, Overloaded> {
        let nobody = PresentedPassword::new("measured once");
        self.check(AddressBlock::None, nobody, None).await?;
        Ok(self.pace())
    }

    /// The pool now.
    pub fn figures(&self) -> HashingFigures {
        let queue = self.shared.lock();
        HashingFigures {
            waiting: queue.waiting.len(),
            running: self.shared.load.running(),
            computed: self.computed(),
            waited: Duration::from_nanos(self.shared.waited_nanos.load(Ordering::Relaxed)),
            expected_wait: self.shared.time_for(queue.waiting.len()),
        }
    }

    async fn submit<T>(
        &self,
        from: AddressBlock,
        work: Work,
        result: oneshot::Receiver<T>,
    ) -> Result<T, Overloaded> {
        self.started.get_or_init(|| self.shared.start());
        self.shared.push(from, work)?;
        // The sender is dropped without an answer where the task waited too long, had to make room, or
        // its worker panicked.
        result.await.map_err(|_| self.shared.overloaded(from))
    }
}

impl Drop for HashPool {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.waiting.clear();
        drop(queue);
        self.shared.filled.notify_all();
    }
}

impl Shared {
    fn start(self: &Arc<Self>) {
        for number in 0..self.settings.workers.get() {
            let shared = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || shared.work());
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start a hashing thread");
            }
        }
    }

    fn work(&self) {
        priority::give_way();
        let mut engine = self.settings.engine();
        while let Some(task) = self.take() {
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                engine.run(task, &mut || self.try_take());
            }));
            if run.is_err() {
                tracing::error!("a hashing task panicked");
                engine = self.settings.engine();
            }
        }
    }

    fn push(&self, from: AddressBlock, work: Work) -> Result<(), Overloaded> {
        let mut queue = self.lock();
        let enqueued = Instant::now();
        let task = Task { work, enqueued };
        if !queue.waiting.join(from, task, self.room(), gone) {
            return Err(self.overloaded_with(&queue, from));
        }
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    fn room(&self) -> Room {
        let (load, longest_wait) = (&self.load, self.settings.longest_wait);
        Room::within(longest_wait, load.pace(), load.slots(), load.running())
    }

    /// The next task, when there is one. `None`: the pool is closed.
    fn take(&self) -> Option<Taken> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = self.next(&mut queue) {
                return Some(task);
            }
            queue = self
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A further task, if one waits.
    fn try_take(&self) -> Option<Taken> {
        self.next(&mut self.lock())
    }

    /// Passes over what nobody waits for any more, and what has waited so long that its client
    /// should rather be told to come back.
    fn next(&self, queue: &mut Queue) -> Option<Taken> {
        let patience = self.settings.longest_wait.max(self.load.pace());
        while let Some(task) = queue.waiting.next() {
            let waited = task.enqueued.elapsed();
            if !task.work.abandoned() && waited <= patience {
                self.computed.fetch_add(1, Ordering::Relaxed);
                self.waited_nanos
                    .fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
                let turn = Turn::begin(&self.load);
                return Some(Taken {
                    work: task.work,
                    turn,
                });
            }
        }
        None
    }

    fn overloaded(&self, from: AddressBlock) -> Overloaded {
        self.overloaded_with(&self.lock(), from)
    }

    /// When all who are served before somebody from there will have been.
    fn overloaded_with(&self, queue: &Queue, from: AddressBlock) -> Overloaded {
        let wait = self.time_for(queue.waiting.ahead(from));
        let retry_after = wait.max(Duration::from_secs(1));
        Overloaded { retry_after }
    }

    /// How long it takes until so many of those who wait, and all that runs, have been hashed.
    fn time_for(&self, waiting: usize) -> Duration {
        self.load.time_for(waiting + self.load.running())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody waits for it any more.
fn gone(task: &Task) -> bool {
    task.work.abandoned()
}
