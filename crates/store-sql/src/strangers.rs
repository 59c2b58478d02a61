//! Announcements of kinds that this version does not know: a newer one wrote them, which serves this one still, so they end
//! nothing. They are passed over, counted, and told of once for each kind.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;

/// So many kinds are told of. More are no version's doing.
const MOST_KINDS: usize = 16;
/// So many characters of a kind are told.
const LONGEST: usize = 64;

#[derive(Default)]
pub(crate) struct Strangers {
    pub(crate) counter: Counter,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    newest: i64,
    kinds: BTreeSet<String>,
}

impl Strangers {
    /// Notes one. Announcements are read again and again; each counts once.
    pub(crate) fn note(&self, seq: i64, kind: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if seq <= known.newest {
            return;
        }
        known.newest = seq;
        self.counter.inc();
        let kind: String = kind.chars().take(LONGEST).collect();
        if known.kinds.len() < MOST_KINDS && known.kinds.insert(kind.clone()) {
            tracing::warn!(
                kind,
                "a newer version announces what this one does not know, and passes over: upgrade this one when the others are"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_once_and_kinds_are_bounded() {
        let strangers = Strangers::default();
        for seq in [3, 4, 4, 3, 5] {
            strangers.note(seq, "of_tomorrow");
        }
        assert_eq!(strangers.counter.get(), 3);
        for seq in 6..60 {
            strangers.note(seq, &format!("{seq}").repeat(100));
        }
        let known = strangers.known.lock().unwrap();
        assert_eq!(known.kinds.len(), MOST_KINDS);
        assert!(known.kinds.iter().all(|kind| kind.len() <= LONGEST));
    }
}
