//! One client of the feed: a body without an end.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use countersign_flows::Service;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::frames;
use super::hub::{Hub, Joined};
use super::resume::ResumePoint;
use super::snapshot::Snapshot;

/// How often a snapshot may have become too old before it can be joined to what is new.
const TRIES: usize = 3;

struct Subscriber {
    hub: Arc<Hub>,
    service: Service,
    /// What every stream begins with, until it is sent.
    beginning: Option<Bytes>,
    /// What is sent next; the parts of a snapshot are shared.
    snapshot: Option<(Arc<Snapshot>, usize)>,
    before: VecDeque<Bytes>,
    receiver: Option<Receiver<Bytes>>,
    _place: OwnedSemaphorePermit,
}

/// The events for a client that has its place, from `point` on or from the beginning.
pub(crate) async fn stream(
    hub: Arc<Hub>,
    service: Service,
    place: OwnedSemaphorePermit,
    point: Option<ResumePoint>,
) -> Body {
    hub.figures.subscribers.inc();
    let mut subscriber = Subscriber {
        service,
        beginning: Some(frames::beginning()),
        snapshot: None,
        before: VecDeque::new(),
        receiver: None,
        _place: place,
        hub,
    };
    match point.and_then(|point| subscriber.hub.resume(&point)) {
        Some(joined) => {
            subscriber.hub.figures.resumed.inc();
            subscriber.take(joined);
        }
        None => subscriber.begin().await,
    }
    Body::from_stream(stream::unfold(subscriber, Subscriber::next))
}

impl Subscriber {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        let frame = self.frame().await?;
        // Also in the midst of a snapshot: a key that is revoked is told nothing more.
        let goes_on = self.hub.flows.is_live(&self.service) && !self.hub.is_closed();
        goes_on.then_some((Ok(frame), self))
    }

    async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.waiting() {
                return Some(frame);
            }
            match self.receiver.as_mut()?.recv().await {
                Ok(frame) => return Some(frame),
                Err(RecvError::Closed) if self.hub.is_closed() => return None,
                // What it has missed is gone.
                Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    self.hub.figures.lagged.inc();
                    self.begin().await;
                }
            }
        }
    }

    /// What is to be sent before anything new: the snapshot, and then what has come since it was made.
    fn waiting(&mut self) -> Option<Bytes> {
        if let Some(beginning) = self.beginning.take() {
            return Some(beginning);
        }
        if let Some((snapshot, sent)) = &mut self.snapshot {
            if let Some(frame) = snapshot.frames.get(*sent) {
                *sent += 1;
                return Some(frame.clone());
            }
            self.snapshot = None;
        }
        self.before.pop_front()
    }

    /// Begins with everything. Where that cannot be, there is nothing to receive, and the stream ends.
    async fn begin(&mut self) {
        self.receiver = None;
        for _ in 0..TRIES {
            let end = || self.hub.end();
            let Some(snapshot) = self.hub.snapshots.get(&self.hub.flows, end).await else {
                return;
            };
            if let Some(joined) = self.hub.join(&snapshot) {
                self.hub.figures.snapshots.inc();
                self.snapshot = Some((snapshot, 0));
                return self.take(joined);
            }
            self.hub.snapshots.discard(&snapshot).await;
        }
    }

    fn take(&mut self, joined: Joined) {
        self.before = joined.before.into();
        self.receiver = Some(joined.receiver);
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.figures.subscribers.dec();
    }
}
