//! Somebody who has seen everything and says what must be answered: the rules once more, told by
//! the history of a session instead of by its state. What the database had not learned before a loss
//! is forgotten here as well, and nothing else is.

use countersign_domain::rotation::{Dead, Decision, EndReason};

use super::schedule::{Millis, Setup};

/// An answer, without what goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Rotated,
    Repeated,
    Reuse,
    Ended(EndReason),
    Expired,
}

impl From<Decision> for Outcome {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Rotate { .. } => Self::Rotated,
            Decision::Repeat { .. } => Self::Repeated,
            Decision::Reuse => Self::Reuse,
            Decision::Dead(Dead::Ended(reason)) => Self::Ended(reason),
            Decision::Dead(Dead::Expired) => Self::Expired,
        }
    }
}

/// A token was exchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) generation: u32,
    /// By the clock.
    pub(crate) at: Millis,
    /// By a watch that nobody sets.
    pub(crate) really_at: Millis,
    /// By how much the clock had been set back in all until then.
    pub(crate) set_back: Millis,
}

pub(crate) struct Witness {
    setup: Setup,
    began: Millis,
    exchanges: Vec<Exchange>,
    durable: usize,
    ended: Option<EndReason>,
}

impl Witness {
    pub(crate) fn new(setup: Setup, began: Millis) -> Self {
        Self {
            setup,
            began,
            exchanges: Vec::new(),
            durable: 0,
            ended: None,
        }
    }

    pub(crate) fn demands(&self, generation: u32, now: Millis) -> Outcome {
        if let Some(reason) = self.ended {
            return Outcome::Ended(reason);
        }
        if now >= self.idle_expiry() || now >= self.absolute_expiry() {
            return Outcome::Expired;
        }
        match self.last() {
            Some(last) if last.generation == generation && self.grace_covers(last, now) => {
                Outcome::Repeated
            }
            Some(last) if last.generation >= generation => Outcome::Reuse,
            // The last generation has no successor.
            _ if generation == u32::MAX => Outcome::Expired,
            _ => Outcome::Rotated,
        }
    }

    fn grace_covers(&self, last: &Exchange, now: Millis) -> bool {
        self.setup.grace > 0 && now - last.at <= self.setup.grace
    }

    /// The latest exchange that is remembered.
    pub(crate) fn last(&self) -> Option<&Exchange> {
        self.exchanges.last()
    }

    /// Until when, by the clock, the token that was exchanged last gets its successor again.
    pub(crate) fn grace_end(&self) -> Option<Millis> {
        self.last().map(|last| last.at + self.setup.grace)
    }

    pub(crate) fn idle_expiry(&self) -> Millis {
        self.last().map_or(self.began, |last| last.at) + self.setup.idle
    }

    pub(crate) fn absolute_expiry(&self) -> Millis {
        self.began + self.setup.absolute
    }

    pub(crate) fn ended(&self) -> Option<EndReason> {
        self.ended
    }

    pub(crate) fn saw_exchange(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
    }

    pub(crate) fn saw_end(&mut self, reason: EndReason) {
        self.ended.get_or_insert(reason);
    }

    pub(crate) fn saw_write_behind(&mut self) {
        self.durable = self.exchanges.len();
    }

    pub(crate) fn saw_loss(&mut self) {
        self.exchanges.truncate(self.durable);
    }
}
