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
}

impl Activity {
    /// A request's head has arrived; it is being answered until the result is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Busy {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    pub(super) fn is_busy(&self) -> bool {
        self.answering.load(Ordering::Relaxed) > 0
    }

    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }
}

pub(super) struct Busy(Arc<Activity>);

impl Busy {
    /// The answer is being given until its body has gone out.
    pub(super) fn until_sent(self, answer: Response<Body>) -> Response<BusyBody> {
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
        self.0.answering.fetch_sub(1, Ordering::Relaxed);
    }
}
