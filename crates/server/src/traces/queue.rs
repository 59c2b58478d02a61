use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// What became of spans.
#[derive(Clone, Default)]
pub(crate) struct SpanFigures {
    sent: Counter,
    lost: Counter,
}

impl SpanFigures {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "countersign_spans_sent",
            "Spans that the collector took",
            self.sent.clone(),
        );
        registry.register(
            "countersign_spans_lost",
            "Spans that found no room, or that the collector did not take",
            self.lost.clone(),
        );
    }
}

/// How many spans wait to be sent, and what became of those before.
pub(super) struct Queue {
    room: usize,
    waiting: AtomicUsize,
    figures: SpanFigures,
}

impl Queue {
    pub(super) fn new(room: usize, figures: SpanFigures) -> Self {
        Self {
            room,
            waiting: AtomicUsize::new(0),
            figures,
        }
    }

    /// One more is about to wait; `false`: there is no room, and it is lost.
    pub(super) fn join(&self) -> bool {
        let one_more = |waiting| (waiting < self.room).then_some(waiting + 1);
        let joined = self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        if joined.is_err() {
            self.figures.lost.inc();
        }
        joined.is_ok()
    }

    /// So many have been tried to be sent.
    pub(super) fn leave(&self, spans: usize, sent: bool) {
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let counter = match sent {
            true => &self.figures.sent,
            false => &self.figures.lost,
        };
        counter.inc_by(spans as u64);
    }

    /// How many have been lost so far.
    pub(super) fn lost(&self) -> u64 {
        self.figures.lost.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_lost_and_counted() {
        let queue = Queue::new(2, SpanFigures::default());
        assert_eq!(
            [queue.join(), queue.join(), queue.join()],
            [true, true, false]
        );
        assert_eq!(queue.lost(), 1);
        queue.leave(2, true);
        assert_eq!((queue.figures.sent.get(), queue.lost()), (2, 1));
        assert!(queue.join());
        queue.leave(1, false);
        assert_eq!((queue.figures.sent.get(), queue.lost()), (2, 2));
    }
}
