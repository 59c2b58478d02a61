//! Figures about the use cases, read when somebody asks for them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::SignedDuration;

use crate::Flows;
use crate::hashing::HashingFigures;
use crate::limits::LimitFigures;

/// This instance at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// How long ago what other instances announce was last read.
    pub announcements_age: Duration,
    /// How many ended sessions and users are remembered until their access tokens have expired.
    pub revocations: usize,
    /// How many verified access tokens are remembered.
    pub cached_tokens: usize,
    /// How long ago the key was made that signs. `None` under HS256, where it is a setting.
    pub signing_key_age: Option<SignedDuration>,
    /// Audit events that wait to be written.
    pub audit_waiting: usize,
    /// How long the oldest audit event has waited for its place in the chain.
    pub audit_lag: Duration,
    /// The hashing threads.
    pub hashing: HashingFigures,
    /// The limits, each by itself.
    pub limits: [LimitFigures; 7],
    /// How many keys of limits are counted in memory.
    pub limit_keys_in_memory: usize,
    /// How many places of limits were taken in memory because the store did not answer.
    pub limits_without_store: u64,
}

impl Flows {
    /// This instance now.
    pub fn figures(&self) -> Figures {
        let followed_at = Duration::from_millis(self.followed_at.load(Ordering::Relaxed));
        Figures {
            announcements_age: self.elapsed().saturating_sub(followed_at),
            revocations: self.revocations.len(),
            cached_tokens: self.token_cache.len(),
            signing_key_age: self.signing_key_age(),
            audit_waiting: self.recorder.waiting(),
            audit_lag: Duration::from_millis(self.audit_lag.load(Ordering::Relaxed)),
            hashing: self.hashing.figures(),
            limits: self.limiter.tallies.figures(),
            limit_keys_in_memory: self.limiter.keys_in_memory(),
            limits_without_store: self.limiter.without_store(),
        }
    }

    /// The time since the process began, which never runs backwards. For measuring.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn signing_key_age(&self) -> Option<SignedDuration> {
        let (ring, now) = (self.keys.load(), self.clock.now());
        let signer = ring.signer(now)?;
        let mut views = ring.views().iter();
        let signing = views.find(|view| view.kid == signer.kid())?;
        Some(now.duration_since(signing.created_at))
    }
}
