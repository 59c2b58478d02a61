use countersign_domain::password::{NewPassword, PasswordHash, PresentedPassword, Scheme};
use tokio::sync::oneshot;

use super::Checked;

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

/// Does the computing on one worker thread.
///
/// An engine is given one task and may take `more` while it computes, so that one that works on
/// several passwords side by side can fill a lane as soon as it falls free.
pub trait Engine: Send {
    /// Computes `first`, and whatever it takes from `more`, and answers each.
    fn run(&mut self, first: Work, more: &mut dyn FnMut() -> Option<Work>);
}

/// One password after the other.
pub struct OneByOne {
    scheme: Scheme,
    stand_in: PasswordHash,
}

impl OneByOne {
    /// An engine that hashes by `scheme`.
    pub fn new(scheme: Scheme) -> Self {
        Self {
            stand_in: scheme.stand_in(),
            scheme,
        }
    }

    fn check(&self, presented: &PresentedPassword, stored: Option<&str>) -> Checked {
        let hash = stored.and_then(|text| match PasswordHash::parse(text) {
            Ok(hash) => Some(hash),
            Err(_) => {
                tracing::error!("a stored password hash cannot be read; its user cannot sign in");
                None
            }
        });
        // The stand-in makes users who do not exist cost what others cost.
        let outcome = match &hash {
            Some(hash) => hash.verify(presented),
            None => self.stand_in.verify(presented).map(|_| false),
        };
        let matches = outcome.unwrap_or(false);
        if let Some(hash) = hash.as_ref().filter(|_| !matches) {
            for padding in self.scheme.padding(hash) {
                // Only the work counts.
                let _ = padding.verify(presented);
            }
        }
        Checked {
            matches,
            rehash: matches && hash.is_some_and(|hash| self.scheme.needs_rehash(&hash)),
        }
    }
}

impl Engine for OneByOne {
    fn run(&mut self, first: Work, _more: &mut dyn FnMut() -> Option<Work>) {
        // A receiver that went away is no error: its client did.
        match first {
            Work::Check {
                presented,
                stored,
                answer,
            } => {
                let _ = answer.send(self.check(&presented, stored.as_deref()));
            }
            Work::Hash {
                password,
                salt,
                answer,
            } => {
                let _ = answer.send(self.scheme.hash(&password, salt));
            }
            Work::Rehash {
                presented,
                salt,
                answer,
            } => {
                let _ = answer.send(self.scheme.rehash(&presented, salt));
            }
        }
    }
}
