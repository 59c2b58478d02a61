//! Tells all who follow this instance, once for all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use countersign_flows::{Fact, Flows, Learned, Progress};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::frames::{self, ENTRIES};
use super::resume::ResumePoint;
use super::ring::Ring;
use super::snapshot::{Snapshots, now};

/// Frames that wait for the slowest client. One that lags further behind begins anew.
const WAITING: usize = 256;

/// The most frames that one client is given at once of those that are kept: ten thousand may come back at the same time, and each frame in a
/// list of each takes its room.
const AT_ONCE: usize = 32;

/// A burst is told in few events: after each, so long is waited for more.
const GATHER: Duration = Duration::from_millis(10);

/// How often something is sent in any case.
const BEAT: Duration = Duration::from_secs(1);

/// An instance that has not been able to look for so long, in milliseconds, says nothing of what it knows.
const BLIND: i64 = 3000;

/// All who follow this instance.
pub(crate) struct Hub {
    pub(super) flows: Arc<Flows>,
    pub(super) snapshots: Snapshots,
    places: Arc<Semaphore>,
    state: Mutex<State>,
    pub(super) figures: Figures,
}

struct State {
    /// `None`: this instance is stopping.
    sender: Option<Sender<Bytes>>,
    ring: Ring,
    progress: Progress,
    /// The last heartbeat, and when it was sent.
    beat: Option<(Bytes, i64)>,
}

/// What is shown of it.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) subscribers: Gauge,
    entries: Counter,
    pub(super) snapshots: Counter,
    pub(super) lagged: Counter,
    pub(super) resumed: Counter,
    refused: Counter,
    withheld: Counter,
    kept: Gauge,
}

/// What a client is sent, and where it goes on.
pub(super) struct Caught {
    pub(super) frames: Vec<Bytes>,
    pub(super) next: Next,
}

pub(super) enum Next {
    /// There is more that is kept, from this place on.
    Kept(u64),
    /// It has got everything, and hears what is new.
    Live(Receiver<Bytes>),
}

impl Hub {
    pub(crate) fn new(flows: Arc<Flows>, subscribers: usize, registry: &mut Registry) -> Self {
        let figures = Figures::default();
        figures.register(registry);
        let state = State {
            sender: Some(broadcast::channel(WAITING).0),
            ring: Ring::default(),
            progress: Progress::default(),
            beat: None,
        };
        Self {
            flows,
            snapshots: Snapshots::default(),
            places: Arc::new(Semaphore::new(subscribers.min(Semaphore::MAX_PERMITS))),
            state: Mutex::new(state),
            figures,
        }
    }

    /// A place for one more client, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.figures.refused.inc();
        }
        place
    }

    /// Tells everybody what is learned, and that it is alive, until `stopped`. Then all streams end.
    pub(crate) async fn run(&self, stopped: impl Future<Output = ()>) {
        let mut stopped = std::pin::pin!(stopped);
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = &mut stopped => break,
                _ = beats.tick() => self.beat(),
                () = self.flows.news_come() => {
                    self.publish();
                    tokio::time::sleep(GATHER).await;
                }
            }
        }
        self.state().sender = None;
    }

    /// Tells what is newly learned.
    pub(crate) fn publish(&self) {
        self.publish_in(&mut self.state());
    }

    /// Tells what is newly learned, and then how fresh that is; or only keeps the connections where this instance
    /// does not know.
    pub(crate) fn beat(&self) {
        let mut state = self.state();
        self.publish_in(&mut state);
        let now = now(&self.flows);
        let age = now - state.progress.began;
        // Where the data have moved, others acknowledge what is not known here.
        let knows = age < BLIND && self.flows.closed().is_none();
        let frame = match knows {
            true => {
                let point = ResumePoint {
                    installation: self.flows.installation(),
                    seq: state.ring.passed(),
                    as_of: state.progress.as_of.as_millisecond(),
                };
                let frame = frames::heartbeat(&state.progress, age, &point);
                state.beat = Some((frame.clone(), now));
                frame
            }
            false => {
                self.figures.withheld.inc();
                state.beat = None;
                frames::comment()
            }
        };
        state.send(frame);
        drop(state);
        self.snapshots.tidy(now);
    }

    fn publish_in(&self, state: &mut State) {
        let news = self.flows.take_news();
        let now = now(&self.flows);
        if news.missed {
            state.ring.forget(now);
            // Whoever follows lags behind now, and begins anew.
            state.sender = state.sender.take().map(|_| broadcast::channel(WAITING).0);
        }
        let kind = |learned: &Learned| matches!(learned.fact, Fact::KeysChanged);
        for group in news.learned.chunk_by(|a, b| kind(a) == kind(b)) {
            for chunk in group.chunks(ENTRIES) {
                let facts: Vec<Fact> = chunk.iter().map(|learned| learned.fact).collect();
                let frame = frames::facts(&facts);
                state.ring.push(frame.clone(), chunk);
                state.send(frame);
                self.figures.entries.inc_by(facts.len() as u64);
            }
        }
        state.progress = news.progress;
        state.ring.followed(&news.progress, now);
        self.figures
            .kept
            .set(i64::try_from(state.ring.bytes()).unwrap_or(i64::MAX));
    }

    /// The place from which on a client lacks frames that was there lately. `None`: what it lacks is not known.
    pub(super) fn resume(&self, point: &ResumePoint) -> Option<u64> {
        if point.installation != self.flows.installation() {
            return None;
        }
        let age = self
            .flows
            .now()
            .as_millisecond()
            .saturating_sub(point.as_of);
        self.state().ring.place_of(point, age, now(&self.flows))
    }

    /// Some frames for a client that has got all before this place. `None`: they are not kept any more, or there will be none.
    pub(super) fn catch_up(&self, place: u64) -> Option<Caught> {
        self.state().catch_up(place, now(&self.flows))
    }

    /// Whether everything from this place on is kept.
    pub(super) fn reaches(&self, place: u64) -> bool {
        self.state().ring.reaches(place)
    }

    pub(super) fn end(&self) -> u64 {
        self.state().ring.end()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state().sender.is_none()
    }

    // No operation leaves it half-changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn send(&self, frame: Bytes) {
        if let Some(sender) = &self.sender {
            // An error means that nobody follows.
            drop(sender.send(frame));
        }
    }

    fn catch_up(&self, place: u64, now: i64) -> Option<Caught> {
        let sender = self.sender.as_ref()?;
        let (mut frames, place) = self.ring.since(place, AT_ONCE)?;
        if place < self.ring.end() {
            let next = Next::Kept(place);
            return Some(Caught { frames, next });
        }
        // All that it speaks of is in what the client has got by then.
        let beat = self.beat.as_ref();
        let beat = beat.filter(|(_, at)| now - at < BLIND);
        frames.extend(beat.map(|(beat, _)| beat.clone()));
        let next = Next::Live(sender.subscribe());
        Some(Caught { frames, next })
    }
}

impl Figures {
    fn register(&self, registry: &mut Registry) {
        let counters = [
            (
                "entries",
                "Entries and changes of keys that were told to all who follow",
                &self.entries,
            ),
            (
                "snapshots",
                "Clients of the feed that were sent everything",
                &self.snapshots,
            ),
            (
                "resumed",
                "Clients of the feed that went on where they had been",
                &self.resumed,
            ),
            (
                "lagged",
                "Times that a client of the feed was too slow and began anew",
                &self.lagged,
            ),
            (
                "refused",
                "Clients of the feed for whom there was no place",
                &self.refused,
            ),
            (
                "heartbeats_withheld",
                "Heartbeats that were not sent because this instance could not follow the announcements",
                &self.withheld,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(format!("countersign_feed_{name}"), help, counter.clone());
        }
        registry.register(
            "countersign_feed_subscribers",
            "Clients that follow the feed",
            self.subscribers.clone(),
        );
        registry.register(
            "countersign_feed_kept_bytes",
            "What is kept for clients of the feed that come back",
            self.kept.clone(),
        );
    }
}
