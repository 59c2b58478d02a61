//! One client of the feed: a body without an end.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::vec;

use axum::body::Body;
use bytes::Bytes;
use countersign_flows::Service;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::frames;
use super::hub::{Hub, Next};
use super::resume::ResumePoint;
use super::snapshot::Snapshot;

/// There may be ten thousand: what one holds is a frame or a few, and a place.
struct Subscriber {
    hub: Arc<Hub>,
    service: Service,
    /// What is sent first.
    before: vec::IntoIter<Bytes>,
    stage: Stage,
    _place: OwnedSemaphorePermit,
}

enum Stage {
    /// It is sent everything, and has got so many parts.
    Snapshot(Weak<Snapshot>, usize),
    /// It is sent what is kept, from this place on.
    Behind(u64),
    /// It hears what is new.
    Live(Receiver<Bytes>),
    /// There is nothing that it could be sent.
    Over,
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
        before: vec![frames::beginning()].into_iter(),
        stage: Stage::Over,
        _place: place,
        hub,
    };
    match point.and_then(|point| subscriber.hub.resume(&point)) {
        Some(place) => {
            subscriber.hub.figures.resumed.inc();
            subscriber.stage = Stage::Behind(place);
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
            if let Some(frame) = self.before.next() {
                return Some(frame);
            }
            let lost = match &mut self.stage {
                Stage::Snapshot(snapshot, sent) => match snapshot.upgrade() {
                    Some(snapshot) => {
                        if let Some(frame) = snapshot.frames.get(*sent) {
                            *sent += 1;
                            return Some(frame.clone());
                        }
                        self.stage = Stage::Behind(snapshot.place);
                        false
                    }
                    None => true,
                },
                Stage::Behind(place) => match self.hub.catch_up(*place) {
                    Some(caught) => {
                        self.before = caught.frames.into_iter();
                        self.stage = match caught.next {
                            Next::Kept(place) => Stage::Behind(place),
                            Next::Live(receiver) => Stage::Live(receiver),
                        };
                        false
                    }
                    None => true,
                },
                Stage::Live(receiver) => match receiver.recv().await {
                    Ok(frame) => return Some(frame),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => true,
                },
                Stage::Over => return None,
            };
            if lost {
                if self.hub.is_closed() {
                    return None;
                }
                // What it has missed is gone.
                self.hub.figures.lagged.inc();
                // On the heap: it is rare, and its state would be a part of each of the many that wait.
                Box::pin(self.begin()).await;
            }
        }
    }

    /// Begins with everything. Where that cannot be, the stream ends.
    async fn begin(&mut self) {
        self.stage = Stage::Over;
        let Hub {
            snapshots, flows, ..
        } = &*self.hub;
        let (end, reaches) = (|| self.hub.end(), |place| self.hub.reaches(place));
        if let Some(snapshot) = snapshots.get(flows, end, reaches).await {
            self.hub.figures.snapshots.inc();
            self.stage = Stage::Snapshot(snapshot, 0);
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.figures.subscribers.dec();
    }
}
