//! What happened while a fault lasted, and whatever broke a promise.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// So many broken promises of a round are told in full; one fault may break the same one a thousand times.
const TOLD: u64 = 12;

/// Counts of everything since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    requests: AtomicU64,
    signed_out: AtomicU64,
    revived: AtomicU64,
    failures: Mutex<BTreeMap<String, u64>>,
    /// Answers of 503 by instances that were meant to answer.
    refused: Mutex<Vec<String>>,
    /// What users and thieves have done, since the beginning.
    acts: Mutex<BTreeMap<&'static str, u64>>,
    broken: AtomicU64,
}

/// The counts of one round.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// Honest users who had to sign in again though nobody had ended their session.
    pub(crate) signed_out: u64,
    /// Answers that accepted what was over: an ended session, a superseded token.
    pub(crate) revived: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    /// All broken promises, the two kinds above included.
    pub(crate) broken: u64,
}

impl Ledger {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// An answer, or the lack of one, that a client has to live with during a fault.
    pub(crate) fn failure(&self, kind: &str) {
        let mut failures = self.failures.lock().expect("ledger");
        *failures.entry(kind.to_owned()).or_default() += 1;
    }

    /// An instance that was meant to answer said 503.
    pub(crate) fn refused(&self, what: String) {
        let mut refused = self.refused.lock().expect("ledger");
        if (refused.len() as u64) < TOLD {
            refused.push(what);
        }
    }

    /// The first of them since it was last asked.
    pub(crate) fn take_refused(&self) -> Vec<String> {
        std::mem::take(&mut self.refused.lock().expect("ledger"))
    }

    /// Something was done and answered as it must be.
    pub(crate) fn act(&self, name: &'static str) {
        *self.acts.lock().expect("ledger").entry(name).or_default() += 1;
    }

    /// All that was done, as a sentence.
    pub(crate) fn acts(&self) -> String {
        let acts = self.acts.lock().expect("ledger");
        let acts = acts.iter().map(|(name, count)| format!("{name}: {count}"));
        acts.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn signed_out(&self, what: String) {
        self.signed_out.fetch_add(1, Relaxed);
        self.broken(format!("an honest user was signed out: {what}"));
    }

    pub(crate) fn revived(&self, what: String) {
        self.revived.fetch_add(1, Relaxed);
        self.broken(format!("revived: {what}"));
    }

    pub(crate) fn broken(&self, what: String) {
        let before = self.broken.fetch_add(1, Relaxed);
        if before < TOLD {
            println!("  broken promise: {what}");
        }
    }

    /// The counts so far, which begin anew.
    pub(crate) fn take(&self) -> Counts {
        Counts {
            requests: self.requests.swap(0, Relaxed),
            signed_out: self.signed_out.swap(0, Relaxed),
            revived: self.revived.swap(0, Relaxed),
            failures: std::mem::take(&mut self.failures.lock().expect("ledger")),
            broken: self.broken.swap(0, Relaxed),
        }
    }
}
