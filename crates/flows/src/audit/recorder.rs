use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_domain::audit::{Draft, Ink};
use countersign_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;

/// How long an event may wait for others to be written with, unless somebody waits for it.
const LAG: Duration = Duration::from_millis(250);

/// Events in one transaction.
const BATCH: usize = 500;

/// Events that may wait while the store is away: about 1 KiB each.
const ROOM: usize = 20_000;

/// How long to wait after the store failed, before the events that nobody waits for are tried again.
const AGAIN: Duration = Duration::from_millis(500);

enum Message {
    /// Store it, and tell.
    Now(Draft, oneshot::Sender<Result<(), StoreError>>),
    /// Store it before long.
    Soon(Draft),
    /// Store everything that came before this, and tell.
    Flush(oneshot::Sender<Result<(), StoreError>>),
}

/// Writes events together: whoever waits for the disk waits for it once with all who came meanwhile.
#[derive(Clone)]
pub(crate) struct Recorder {
    to_writer: mpsc::Sender<Message>,
    waiting: Arc<AtomicUsize>,
}

impl Recorder {
    /// Starts the task that writes. It ends when the recorder is dropped.
    pub(crate) fn start(store: Arc<dyn Store>, ink: Arc<Ink>) -> Self {
        let (to_writer, messages) = mpsc::channel(ROOM);
        let waiting = Arc::default();
        let writer = Writer {
            store,
            ink,
            messages,
            soon: Vec::new(),
            waiting: Arc::clone(&waiting),
        };
        tokio::spawn(writer.run());
        Self { to_writer, waiting }
    }

    /// Stored when this returns `Ok`.
    pub(crate) async fn record(&self, draft: Draft) -> Result<(), Fault> {
        self.ask(|told| Message::Now(draft, told)).await
    }

    /// Stored within about a second, and lost with the process. `Err` gives it back: too many wait.
    pub(crate) fn record_soon(&self, draft: Draft) -> Result<(), StoreError> {
        // The writer takes messages out of the channel also while the store is away.
        if self.waiting.load(Ordering::Relaxed) >= ROOM {
            return Err(full());
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.to_writer.try_send(Message::Soon(draft)).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            full()
        })
    }

    /// Whether there is room for another event that nobody waits for. Asked before what cannot be undone.
    pub(crate) fn has_room(&self) -> Result<(), Fault> {
        match self.waiting() < ROOM {
            true => Ok(()),
            false => Err(full().into()),
        }
    }

    /// Stores everything that was recorded before.
    pub(crate) async fn flush(&self) -> Result<(), Fault> {
        self.ask(Message::Flush).await
    }

    /// Events that wait and nobody waits for.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Message,
    ) -> Result<(), Fault> {
        let (tell, told) = oneshot::channel();
        let gone = || StoreError::Unavailable("the audit writer has ended".to_owned());
        let sent = self.to_writer.send(message(tell)).await;
        sent.map_err(|_| gone())?;
        Ok(told.await.map_err(|_| gone())??)
    }
}

struct Writer {
    store: Arc<dyn Store>,
    ink: Arc<Ink>,
    messages: mpsc::Receiver<Message>,
    /// Events that nobody waits for.
    soon: Vec<Draft>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    async fn run(mut self) {
        let mut pause = LAG;
        while let Some(first) = self.next(pause).await {
            let mut batch = Vec::new();
            let (mut told, mut flushed) = (Vec::new(), Vec::new());
            for message in first {
                match message {
                    Message::Now(draft, tell) => {
                        batch.push(draft);
                        told.push(tell);
                    }
                    Message::Soon(draft) => self.soon.push(draft),
                    Message::Flush(tell) => flushed.push(tell),
                }
            }
            // Apart from those that nobody waits for, which must not make them fail.
            self.store_and_tell(batch, told).await;
            let stored = self.store_backlog().await;
            pause = if stored.is_ok() { LAG } else { AGAIN };
            for tell in flushed {
                let _ = tell.send(stored.clone());
            }
        }
    }

    /// Stores events that somebody waits for: together, and where that fails one by one, so that none fails for another.
    async fn store_and_tell(
        &self,
        batch: Vec<Draft>,
        told: Vec<oneshot::Sender<Result<(), StoreError>>>,
    ) {
        if batch.is_empty() {
            return;
        }
        let together = self.store.append_events(&batch, &self.ink).await;
        let alone = batch.len() == 1;
        for (draft, tell) in batch.into_iter().zip(told) {
            let outcome = match &together {
                Err(_) if !alone => self.store.append_events(&[draft], &self.ink).await,
                outcome => outcome.clone(),
            };
            // Whoever asked may have gone.
            let _ = tell.send(outcome);
        }
    }

    /// Stores events that nobody waits for. What fails is tried again later.
    async fn store_backlog(&mut self) -> Result<(), StoreError> {
        while !self.soon.is_empty() {
            let part = self.soon.len().min(BATCH);
            let stored = self
                .store
                .append_events(&self.soon[..part], &self.ink)
                .await;
            if let Err(error) = stored {
                tracing::warn!(%error, waiting = self.soon.len(), "audit events could not be written");
                return Err(error);
            }
            self.soon.drain(..part);
            self.waiting.fetch_sub(part, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The messages to handle next: all that are there as soon as somebody waits for one, or what has gathered
    /// after a pause. `None`: the recorder is gone.
    async fn next(&mut self, pause: Duration) -> Option<Vec<Message>> {
        let mut messages = Vec::new();
        let deadline = tokio::time::sleep(pause);
        tokio::pin!(deadline);
        loop {
            let gathering = !self.soon.is_empty() || !messages.is_empty();
            tokio::select! {
                message = self.messages.recv() => {
                    let message = message?;
                    if messages.is_empty() && self.soon.is_empty() {
                        deadline.as_mut().reset(tokio::time::Instant::now() + pause);
                    }
                    let urgent = !matches!(message, Message::Soon(_));
                    messages.push(message);
                    if urgent {
                        while let Ok(message) = self.messages.try_recv() {
                            messages.push(message);
                        }
                    }
                    if urgent || messages.len() >= BATCH {
                        return Some(messages);
                    }
                }
                () = &mut deadline, if gathering => return Some(messages),
            }
        }
    }
}

fn full() -> StoreError {
    StoreError::Unavailable("too many audit events wait to be written".to_owned())
}
