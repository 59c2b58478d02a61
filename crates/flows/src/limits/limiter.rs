//! Whom a limit counts, under which key.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;
use countersign_domain::address::AddressBlock;
use countersign_domain::device_token::DeviceId;
use countersign_domain::email::Email;
use countersign_domain::limits::Rule;
use countersign_domain::root_secret::{Purpose, RootSecret};
use countersign_domain::{SessionId, UserId};
use countersign_store::LimitKey;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use super::memory::MemoryLimits;
use super::policy::LimitPolicy;
use super::standing::{Limited, Standing};
use super::tallies::Tallies;

/// How many keys are counted in memory at once, for the strict limits and for the generous ones:
/// about 70 bytes each.
const KEYS: usize = 100_000;

/// How many refused keys are remembered.
const REFUSED: usize = 10_000;

/// Whom a place is counted for.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    Address(AddressBlock),
    /// An account, whether or not there is one: by its address, however that is spelled.
    Account(&'a str),
    /// A device, and whose it is.
    Device(DeviceId, UserId),
    /// A session, and whose it is.
    Session(SessionId, UserId),
}

/// A limit as it applies to somebody: its name, its rule, and whom it counts.
pub(crate) struct Limit<'a>(
    pub(crate) &'static str,
    pub(crate) Option<Rule>,
    pub(crate) Who<'a>,
);

/// Counts.
pub(crate) struct Limiter {
    pub(super) policy: LimitPolicy,
    key: hmac::Key,
    pub(super) strict: MemoryLimits,
    generous: MemoryLimits,
    /// Keys that were refused, until when: what is in the audit log already.
    pub(super) refused: Cache<LimitKey, Timestamp>,
    pub(crate) tallies: Tallies,
    /// Places that were taken in memory because the store did not answer.
    pub(super) without_store: AtomicU64,
    /// Until then the store is not asked, in milliseconds since the start of the process.
    pub(super) away_until: AtomicU64,
}

impl Limiter {
    pub(crate) fn new(policy: LimitPolicy, root: &RootSecret) -> Self {
        let bytes = root.derive(Purpose::Limits);
        Self {
            policy,
            key: hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref()),
            strict: MemoryLimits::new(KEYS),
            generous: MemoryLimits::new(KEYS),
            refused: Cache::new(REFUSED),
            tallies: Tallies::default(),
            without_store: AtomicU64::new(0),
            away_until: AtomicU64::new(0),
        }
    }

    /// The key of a limit for somebody, which tells neither.
    pub(super) fn key_of(&self, name: &str, who: Who<'_>) -> LimitKey {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(name.as_bytes());
        match who {
            Who::Address(block) => {
                context.update(b"\0address\0");
                context.update(block.bytes());
            }
            Who::Account(email) => {
                context.update(b"\0account\0");
                match Email::parse(email) {
                    Ok(email) => context.update(email.key().as_str().as_bytes()),
                    // Nobody's, and still no spelling of it is a way around.
                    Err(_) => context.update(email.trim().to_lowercase().as_bytes()),
                }
            }
            Who::Device(DeviceId(id), _) => {
                context.update(b"\0device\0");
                context.update(&id);
            }
            Who::Session(SessionId(id), _) => {
                context.update(b"\0session\0");
                context.update(id.as_bytes());
            }
        }
        let mut key = [0; 16];
        key.copy_from_slice(&context.sign().as_ref()[..16]);
        LimitKey(key)
    }

    /// Takes a place of a generous limit, which is never given back.
    pub(super) fn pass(
        &self,
        Limit(name, rule, who): Limit<'_>,
        now: Timestamp,
    ) -> Result<Option<Standing>, Limited> {
        let Some(rule) = rule else { return Ok(None) };
        let taken = self.generous.take_now(self.key_of(name, who), &rule, now);
        let standing = Standing::after(name, &rule, taken, now);
        self.count(name, standing.is_ok());
        standing.map(|(standing, _)| Some(standing))
    }

    /// A place was asked for.
    pub(super) fn count(&self, name: &str, taken: bool) {
        if let Some(tally) = self.tallies.of(name) {
            match taken {
                true => tally.taken.one_more(),
                false => tally.refused.one_more(),
            }
        }
    }

    /// How many keys are counted in memory.
    pub(crate) fn keys_in_memory(&self) -> usize {
        self.strict.len() + self.generous.len()
    }

    /// How many places were taken in memory because the store did not answer.
    pub(crate) fn without_store(&self) -> u64 {
        self.without_store.load(Ordering::Relaxed)
    }
}
