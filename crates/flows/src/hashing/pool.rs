#![allow(
    clippy::disallowed_methods,
    reason = "the pool measures how long hashing takes"
)]

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use countersign_domain::address::AddressBlock;
use countersign_domain::password::{NewPassword, PasswordHash, PresentedPassword, Scheme};
use tokio::sync::oneshot;

use super::Checked;
use super::engine::{Engine, OneByOne, Task, Work};
use super::queue::{FairQueue, Room};
use crate::fault::Overloaded;

/// How the pool is built.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// How new passwords are hashed.
    pub scheme: Scheme,
    /// How many threads hash. More than there are cores only adds waiting.
    pub workers: NonZeroUsize,
    /// Work is refused when it would wait longer than this.
    pub longest_wait: Duration,
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
    /// Moving average of the time that one task takes, in nanoseconds.
    task_nanos: AtomicU64,
    /// The average is of what was measured; before that it is a guess.
    measured: AtomicBool,
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
    running: usize,
    closed: bool,
}

impl HashPool {
    /// A pool that starts its threads when they are first needed.
    pub fn new(settings: PoolSettings) -> Self {
        let shared = Shared {
            settings,
            queue: Mutex::default(),
            filled: Condvar::new(),
            task_nanos: AtomicU64::new(first_estimate(settings.scheme)),
            measured: AtomicBool::new(false),
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
        self.shared.pace()
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
            running: queue.running,
            computed: self.computed(),
            waited: Duration::from_nanos(self.shared.waited_nanos.load(Ordering::Relaxed)),
            expected_wait: self.shared.time_for(queue.waiting.len() + queue.running),
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
        // On Linux this lowers the priority of this thread alone: at equal priority one request in
        // a hundred waits a whole scheduler slice behind a hash.
        if let Err(error) = rustix::process::setpriority_process(None, 19) {
            tracing::debug!(%error, "cannot lower the priority of a hashing thread");
        }
        let mut engine: Box<dyn Engine> = Box::new(OneByOne::new(self.settings.scheme));
        while let Some(work) = self.take() {
            let start = Instant::now();
            let mut tasks = 1;
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                engine.run(work, &mut || {
                    let more = self.try_take();
                    tasks += usize::from(more.is_some());
                    more
                });
            }));
            if run.is_err() {
                tracing::error!("a hashing task panicked");
                engine = Box::new(OneByOne::new(self.settings.scheme));
            }
            self.finished(tasks, start.elapsed());
        }
    }

    fn push(&self, from: AddressBlock, work: Work) -> Result<(), Overloaded> {
        let mut queue = self.lock();
        let PoolSettings {
            longest_wait,
            workers,
            ..
        } = self.settings;
        let room = Room::within(longest_wait, self.pace(), workers.get(), queue.running);
        let enqueued = Instant::now();
        let task = Task { work, enqueued };
        let gone = |task: &Task| task.work.abandoned();
        if !queue.waiting.join(from, task, room, gone) {
            return Err(self.overloaded_with(&queue, from));
        }
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    /// The next task, when there is one. `None`: the pool is closed.
    fn take(&self) -> Option<Work> {
        let mut queue = self.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(work) = self.next(&mut queue) {
                return Some(work);
            }
            queue = self
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A further task, if one waits.
    fn try_take(&self) -> Option<Work> {
        self.next(&mut self.lock())
    }

    /// Passes over what nobody waits for any more, and what has waited so long that its client
    /// should rather be told to come back.
    fn next(&self, queue: &mut Queue) -> Option<Work> {
        let patience = self.settings.longest_wait.max(self.pace());
        while let Some(task) = queue.waiting.next() {
            let waited = task.enqueued.elapsed();
            if !task.work.abandoned() && waited <= patience {
                queue.running += 1;
                self.computed.fetch_add(1, Ordering::Relaxed);
                self.waited_nanos
                    .fetch_add(waited.as_nanos() as u64, Ordering::Relaxed);
                return Some(task.work);
            }
        }
        None
    }

    fn finished(&self, tasks: usize, took: Duration) {
        let each = took.as_nanos() as u64 / tasks as u64;
        let average = self.task_nanos.load(Ordering::Relaxed);
        let next = match self.measured.swap(true, Ordering::Relaxed) {
            true => average - average / 8 + each / 8,
            false => each,
        };
        self.task_nanos.store(next.max(1), Ordering::Relaxed);
        self.lock().running -= tasks;
    }

    fn pace(&self) -> Duration {
        Duration::from_nanos(self.task_nanos.load(Ordering::Relaxed))
    }

    fn overloaded(&self, from: AddressBlock) -> Overloaded {
        self.overloaded_with(&self.lock(), from)
    }

    /// When all who are served before somebody from there will have been.
    fn overloaded_with(&self, queue: &Queue, from: AddressBlock) -> Overloaded {
        let wait = self.time_for(queue.waiting.ahead(from) + queue.running);
        let retry_after = wait.max(Duration::from_secs(1));
        Overloaded { retry_after }
    }

    /// How long all workers together take for so many hashes.
    fn time_for(&self, hashes: usize) -> Duration {
        let hashes = u32::try_from(hashes).unwrap_or(u32::MAX);
        self.pace().saturating_mul(hashes) / self.settings.workers.get() as u32
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one hash may take before any was measured.
fn first_estimate(scheme: Scheme) -> u64 {
    match scheme {
        // About 55 microseconds per iteration of the key schedule on a server core.
        Scheme::Bcrypt { cost } => 55_000_u64 << cost.min(31),
        Scheme::Argon2id { .. } => 50_000_000,
    }
}
