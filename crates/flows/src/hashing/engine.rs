use countersign_domain::password::{NewPassword, PasswordHash, PresentedPassword, Scheme};
use tokio::sync::oneshot;

use super::Checked;
use super::case::Rules;
use super::load::Turn;

/// One computation that waits for a worker.
pub struct Task {
    pub(super) work: Work,
    pub(super) enqueued: std::time::Instant,
}

/// What is to be computed, and who waits for it.
pub enum Work {
    /// Compare a presented password with a stored hash. `None`, or a hash that cannot be read,
    /// costs the same as a real one and never matches.
    Check {
        /// What was presented.
        presented: PresentedPassword,
        /// What is stored.
        stored: Option<String>,
        /// Where the answer goes.
        answer: oneshot::Sender<Checked>,
    },
    /// Hash a new password.
    Hash {
        /// The password.
        password: NewPassword,
        /// 16 random bytes.
        salt: [u8; 16],
        /// Where the answer goes.
        answer: oneshot::Sender<PasswordHash>,
    },
    /// Hash a password that was just found right anew, with the configured scheme.
    Rehash {
        /// The password.
        presented: PresentedPassword,
        /// 16 random bytes.
        salt: [u8; 16],
        /// Where the answer goes.
        answer: oneshot::Sender<Option<PasswordHash>>,
    },
}

impl Work {
    /// Nobody waits for the answer any more.
    pub(super) fn abandoned(&self) -> bool {
        match self {
            Self::Check { answer, .. } => answer.is_closed(),
            Self::Hash { answer, .. } => answer.is_closed(),
            Self::Rehash { answer, .. } => answer.is_closed(),
        }
    }
}

/// Work that a worker has taken up.
pub struct Taken {
    pub(super) work: Work,
    pub(super) turn: Turn,
}

/// Does the computing on one worker thread.
///
/// An engine is given one task and may take `more` while it computes, so that one that works on
/// several passwords side by side can fill a lane as soon as it falls free.
pub trait Engine: Send {
    /// Computes `first`, and whatever it takes from `more`, and answers each.
    fn run(&mut self, first: Taken, more: &mut dyn FnMut() -> Option<Taken>);
}

/// One password after the other, each by the domain's own code.
pub struct OneByOne {
    rules: Rules,
}

impl OneByOne {
    /// An engine that hashes by `scheme`.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            rules: Rules::new(scheme),
        }
    }
}

impl Engine for OneByOne {
    fn run(&mut self, first: Taken, _more: &mut dyn FnMut() -> Option<Taken>) {
        let mut next = self.rules.begin(first);
        while let Some(case) = next {
            let digest = case.computation().run();
            next = case.next(digest);
        }
    }
}
