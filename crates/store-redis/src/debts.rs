//! What Redis has yet to be told. It is not trusted before it has been.

use std::collections::HashMap;
use std::time::Duration;

use countersign_domain::SessionId;
use countersign_domain::rotation::SessionState;
use redis::Cmd;
use tokio::time::Instant;

use crate::calls::Calls;

/// More would take longer to tell than to begin a new epoch.
const MOST: usize = 10_000;

/// What Redis must learn about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Debt {
    /// It has ended.
    Bury,
    /// Its user's roles changed.
    Stale,
    /// It was refreshed in the database.
    Raise(SessionState),
}

impl Debt {
    pub(crate) fn command(&self, id: SessionId, calls: &Calls) -> Cmd {
        match self {
            Self::Bury => calls.bury(id),
            Self::Stale => calls.stale(id),
            Self::Raise(state) => calls.raise(id, state),
        }
    }

    /// Not telling would be a vulnerability; of a rotation, clients bring the proof themselves.
    fn is_urgent(&self) -> bool {
        !matches!(self, Self::Raise(_))
    }

    /// Of two debts about one session, what is left to tell.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Bury, _) | (_, Self::Bury) => Self::Bury,
            (Self::Raise(one), Self::Raise(two)) if one.generation > two.generation => {
                Self::Raise(one)
            }
            // Stale facts are read again together with the generation.
            (Self::Stale, Self::Raise(_)) | (Self::Raise(_), Self::Stale) => Self::Stale,
            (_, newest) => newest,
        }
    }
}

#[derive(Default)]
pub(crate) struct Debts {
    owed: HashMap<SessionId, Debt>,
    urgent_since: Option<Instant>,
}

impl Debts {
    /// Adds debts. `false`: there are too many, and now none; only a new epoch can pay.
    #[must_use]
    pub(crate) fn add(&mut self, debts: impl IntoIterator<Item = (SessionId, Debt)>) -> bool {
        for (id, debt) in debts {
            if debt.is_urgent() {
                self.urgent_since.get_or_insert_with(Instant::now);
            }
            let owed = self.owed.entry(id).or_insert(debt);
            *owed = owed.and(debt);
        }
        if self.owed.len() > MOST {
            *self = Self::default();
            return false;
        }
        true
    }

    /// All of them, to be paid.
    pub(crate) fn take(&mut self) -> Vec<(SessionId, Debt)> {
        self.urgent_since = None;
        self.owed.drain().collect()
    }

    /// For how long something urgent has been owed.
    pub(crate) fn urgent_for(&self) -> Option<Duration> {
        self.urgent_since.map(|since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn raise(generation: u32) -> Debt {
        Debt::Raise(SessionState {
            generation,
            rotated_at: Timestamp::UNIX_EPOCH,
            idle_expires_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::UNIX_EPOCH,
            ended: None,
        })
    }

    #[test]
    fn an_end_outlasts_everything_and_generations_grow() {
        let id = |n| SessionId(Uuid::from_u128(n));
        let mut debts = Debts::default();
        assert!(debts.add([(id(1), raise(1)), (id(2), raise(5)), (id(3), raise(1))]));
        assert_eq!(debts.urgent_for(), None);
        assert!(debts.add([(id(1), Debt::Bury), (id(2), raise(4)), (id(3), Debt::Stale)]));
        assert!(debts.add([(id(1), Debt::Stale), (id(1), raise(2)), (id(3), raise(2))]));
        assert!(debts.urgent_for().is_some());
        let mut left = debts.take();
        left.sort_by_key(|(id, _)| id.0);
        assert_eq!(
            left,
            [(id(1), Debt::Bury), (id(2), raise(5)), (id(3), Debt::Stale)]
        );
        assert!(debts.take().is_empty() && debts.urgent_for().is_none());
        assert!(!debts.add((0..=MOST as u128).map(|n| (id(n), Debt::Bury))));
        assert!(debts.take().is_empty());
    }
}
