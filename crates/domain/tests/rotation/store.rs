//! The smallest backend: it applies decisions as the real ones do, in a state that it may lose and
//! one that it may not.

use countersign_domain::rotation::{Decision, EndReason, RotationPolicy, SessionState, decide};
use jiff::Timestamp;

pub(crate) struct Store {
    policy: RotationPolicy,
    /// What answers are made from.
    pub(crate) fast: SessionState,
    /// What survives a loss of the other: behind it in rotations, never in the session's end,
    /// which is acknowledged only after both know of it.
    pub(crate) durable: SessionState,
}

impl Store {
    pub(crate) fn new(state: SessionState, policy: RotationPolicy) -> Self {
        Self {
            policy,
            fast: state,
            durable: state,
        }
    }

    pub(crate) fn present(&mut self, generation: u32, now: Timestamp) -> Decision {
        let decision = self.would(generation, now);
        match decision {
            Decision::Rotate { to, .. } => self.fast = self.fast.rotated(to, now, &self.policy),
            Decision::Reuse => self.end(EndReason::Reuse),
            Decision::Repeat { .. } | Decision::Dead(_) => {}
        }
        decision
    }

    /// What the answer would be, without asking for it.
    pub(crate) fn would(&self, generation: u32, now: Timestamp) -> Decision {
        decide(&self.fast, generation, now, &self.policy)
    }

    pub(crate) fn end(&mut self, reason: EndReason) {
        self.fast.ended.get_or_insert(reason);
        self.durable.ended = self.fast.ended;
    }

    pub(crate) fn write_behind(&mut self) {
        self.durable = self.fast;
    }

    pub(crate) fn lose(&mut self) {
        self.fast = self.durable;
    }
}
