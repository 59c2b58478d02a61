use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};

/// What a connection is doing, shared between the stream that enforces the time limits and the
/// service that answers requests.
#[derive(Default)]
pub(super) struct Activity {
    answering: AtomicUsize,
    /// Requests whose head has arrived.
    begun: AtomicU64,
    /// Answers without an end, and nothing else.
    endless: AtomicUsize,
}

impl Activity {
    /// A request's head has arrived; it is being answered until the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
        Busy {
            activity: Arc::clone(self),
            endless: false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    /// Whether all that is being answered has no end by itself.
    pub(super) fn is_endless(&self) -> bool {
        let endless = self.endless.load(Ordering::Relaxed);
        endless > 0 && endless == self.answering.load(Ordering::Relaxed)
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
    endless: bool,
}

impl Busy {
    /// The answer is being given until its body has gone out.
    pub(super) fn until_sent(mut self, answer: Response<Body>) -> Response<BusyBody> {
        self.endless = answer.extensions().get::<Endless>().is_some();
        let endless = usize::from(self.endless);
        self.activity.endless.fetch_add(endless, Ordering::Relaxed);
        answer.map(|body| BusyBody { body, _busy: self })
    }
}

pub(super) struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
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
        let endless = usize::from(self.endless);
        self.activity.endless.fetch_sub(endless, Ordering::Relaxed);
        self.activity.answering.fetch_sub(1, Ordering::Relaxed);
    }
}
