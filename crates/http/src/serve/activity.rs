use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

/// What a connection is doing, shared between the stream that enforces the time limits and the
/// service that answers requests.
pub(super) struct Activity {
    opened: Instant,
    answering: AtomicUsize,
    /// Requests whose head has arrived.
    begun: AtomicU64,
    /// The answers without an end, and when more of each was last asked for.
    endless: Mutex<Vec<Arc<Asked>>>,
}

/// Milliseconds since the connection was opened.
#[derive(Default)]
struct Asked(AtomicU64);

impl Default for Activity {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            answering: AtomicUsize::default(),
            begun: AtomicU64::default(),
            endless: Mutex::default(),
        }
    }
}

impl Activity {
    /// A request's head has arrived; it is being answered until the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
        Busy {
            activity: Arc::clone(self),
            endless: None,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    /// Whether all that is being answered has no end by itself.
    pub(super) fn is_endless(&self) -> bool {
        let endless = self.endless().len();
        endless > 0 && endless == self.answering.load(Ordering::Relaxed)
    }

    /// For how long more of an answer without an end has not been asked for, because the client has not taken what there is. Of several,
    /// the longest.
    pub(super) fn untaken(&self) -> Duration {
        let asked = self
            .endless()
            .iter()
            .map(|asked| asked.0.load(Ordering::Relaxed))
            .min();
        let since = |asked| {
            self.opened
                .elapsed()
                .saturating_sub(Duration::from_millis(asked))
        };
        asked.map(since).unwrap_or_default()
    }

    fn ask(&self, asked: &Asked) {
        let now = self.opened.elapsed().as_millis();
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        asked.0.store(now, Ordering::Relaxed);
    }

    // No operation leaves it half-changed.
    fn endless(&self) -> MutexGuard<'_, Vec<Arc<Asked>>> {
        self.endless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Put into an answer whose body has no end: it is cut off when the server stops.
#[derive(Clone, Copy)]
pub(crate) struct Endless;

pub(super) struct Busy {
    activity: Arc<Activity>,
    /// Of an answer without an end.
    endless: Option<Arc<Asked>>,
}

impl Busy {
    /// The answer is being given until its body has gone out.
    pub(super) fn until_sent(mut self, answer: Response<Body>) -> Response<BusyBody> {
        if answer.extensions().get::<Endless>().is_some() {
            let asked = Arc::new(Asked::default());
            self.activity.ask(&asked);
            self.activity.endless().push(Arc::clone(&asked));
            self.endless = Some(asked);
        }
        answer.map(|body| BusyBody { body, busy: self })
    }
}

pub(super) struct BusyBody {
    body: Body,
    busy: Busy,
}

impl http_body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(asked) = &self.busy.endless {
            self.busy.activity.ask(asked);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(ours) = &self.endless {
            let mut endless = self.activity.endless();
            endless.retain(|asked| !Arc::ptr_eq(asked, ours));
        }
        self.activity.answering.fetch_sub(1, Ordering::Relaxed);
    }
}
