use std::time::Duration;

use countersign_domain::limits::{Rule, Taken};
use jiff::Timestamp;

/// How a caller stands with a limit: what the `RateLimit` and `RateLimit-Policy` fields say
/// (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The limit's name.
    pub policy: &'static str,
    /// How often something may happen.
    pub quota: u32,
    /// In how long; `None` where the limit has no fixed span.
    pub window: Option<Duration>,
    /// How often it may happen yet.
    pub remaining: u32,
    /// When it may happen more often.
    pub reset: Duration,
}

impl Standing {
    /// After a place was asked for: how the caller stands, and the `until` of the place.
    pub(super) fn after(
        name: &'static str,
        rule: &Rule,
        taken: Taken,
        now: Timestamp,
    ) -> Result<(Self, Timestamp), Limited> {
        match taken {
            Taken::Admitted { tally, remaining } => {
                let standing = Self::new(name, rule, remaining, tally.until, now);
                Ok((standing, tally.until))
            }
            Taken::Refused { retry_at } => Err(Limited {
                standing: Self::new(name, rule, 0, retry_at, now),
            }),
        }
    }

    fn new(
        policy: &'static str,
        rule: &Rule,
        remaining: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Self {
        let window = rule.window().map(|w| w.try_into().unwrap_or_default());
        Self {
            policy,
            quota: rule.quota(),
            window,
            remaining,
            reset: until.duration_since(now).try_into().unwrap_or_default(),
        }
    }
}

/// Something was refused because it happened too often. Nothing was evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too often: limit `{}`", standing.policy)]
pub struct Limited {
    /// The limit that was reached.
    pub standing: Standing,
}

/// An outcome, and how the caller stands with the limit that it was counted against. `None`: with
/// none.
#[derive(Debug)]
pub struct Counted<T, E> {
    /// What came of it.
    pub outcome: Result<T, E>,
    /// Where the caller stands now.
    pub standing: Option<Standing>,
}
