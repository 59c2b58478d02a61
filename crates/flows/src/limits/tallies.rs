//! How often limits were asked, by limit.

use std::sync::atomic::{AtomicU64, Ordering};

/// The limits, by name. Nothing that a client sends adds one.
const NAMES: [&str; 7] = [
    "login", "account", "device", "password", "register", "refresh", "other",
];

/// A limit since the start of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitFigures {
    /// Its name.
    pub limit: &'static str,
    /// Places that were taken.
    pub taken: u64,
    /// Places that were given back: nothing was evaluated, or what was tried was right.
    pub given_back: u64,
    /// Attempts for which there was no place.
    pub refused: u64,
}

/// Counts of every limit.
#[derive(Default)]
pub(crate) struct Tallies([Tally; NAMES.len()]);

#[derive(Default)]
pub(super) struct Tally {
    pub(super) taken: Count,
    pub(super) given_back: Count,
    pub(super) refused: Count,
}

#[derive(Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tallies {
    pub(super) fn of(&self, name: &str) -> Option<&Tally> {
        let at = NAMES.iter().position(|known| *known == name)?;
        self.0.get(at)
    }

    pub(crate) fn figures(&self) -> [LimitFigures; NAMES.len()] {
        std::array::from_fn(|at| LimitFigures {
            limit: NAMES[at],
            taken: self.0[at].taken.get(),
            given_back: self.0[at].given_back.get(),
            refused: self.0[at].refused.get(),
        })
    }
}
