//! Being about to stop, so that load balancers send their requests elsewhere first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this instance is about to stop. Clones share it.
///
/// From [`begin`](Drain::begin) on everything is still answered, but `/readyz` with 503, and the answers of HTTP/1 close their
/// connections: a proxy that keeps connections for reuse is left with none to send a request on in the moment in which they go.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// Says from now on that this instance is not ready. There is no way back.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
