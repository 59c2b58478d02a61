//! How far the announcements are known, for whoever is told that there are more.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_store::Announced;
use tokio::time::Instant;

/// A number that was passed over is waited for so long: its transaction may be about to commit. After that it
/// was undone, most likely; what commits later still is found by those who follow the list with an overlap.
const WAITED_FOR: Duration = Duration::from_millis(250);

/// More numbers than that were never passed over by transactions under way.
const MOST_MISSING: i64 = 1000;

/// The greatest number that is known, and those below that may still come.
#[derive(Default)]
pub(crate) struct Cursor {
    newest: i64,
    missing: BTreeMap<i64, Instant>,
}

impl Cursor {
    /// The number after which to look.
    pub(crate) fn begin(&self) -> i64 {
        match self.missing.first_key_value() {
            Some((first, _)) => first - 1,
            None => self.newest,
        }
    }

    /// Notes what a look found, and answers what of it was not known.
    pub(crate) fn end(&mut self, announced: Vec<Announced>, now: Instant) -> Vec<Announced> {
        let mut fresh = announced;
        fresh.retain(|one| one.seq > self.newest || self.missing.remove(&one.seq).is_some());
        // Only after a look that would have found them: the looks may have been slow.
        self.missing.retain(|_, until| *until > now);
        for one in &fresh {
            self.pass(one.seq, now);
        }
        fresh
    }

    /// Notes what was read after the number `after`; 0: the whole list.
    pub(crate) fn note(&mut self, after: i64, announced: &[Announced], now: Instant) {
        let last = announced.last().map_or(0, |one| one.seq);
        if after == 0 && (last < self.newest || self.newest == 0) {
            // It is the first time, or the table was restored to an earlier state.
            self.newest = last;
            self.missing.clear();
            return;
        }
        for one in announced {
            self.missing.remove(&one.seq);
            self.pass(one.seq, now);
        }
    }

    fn pass(&mut self, seq: i64, now: Instant) {
        if seq <= self.newest {
            return;
        }
        let first = (self.newest + 1).max(seq - MOST_MISSING);
        let until = now + WAITED_FOR;
        self.missing
            .extend((first..seq).map(|missing| (missing, until)));
        while self.missing.len() as i64 > MOST_MISSING {
            self.missing.pop_first();
        }
        self.newest = seq;
    }
}

#[cfg(test)]
mod tests {
    use countersign_domain::SessionId;
    use countersign_store::{Announcement, Subject};
    use jiff::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn announced(numbers: &[i64]) -> Vec<Announced> {
        let one = |seq: &i64| Announced {
            seq: *seq,
            announcement: Announcement {
                subject: Subject::Session(SessionId(Uuid::from_u128(7))),
                expires_at: Timestamp::MAX,
                event: None,
            },
        };
        numbers.iter().map(one).collect()
    }

    fn look(cursor: &mut Cursor, table: &[i64], now: Instant) -> (i64, Vec<i64>) {
        let after = cursor.begin();
        let rows: Vec<_> = table.iter().copied().filter(|seq| *seq > after).collect();
        let fresh = cursor.end(announced(&rows), now);
        (after, fresh.iter().map(|one| one.seq).collect())
    }

    #[tokio::test]
    async fn what_commits_in_another_order_is_found_and_told_once() {
        let now = Instant::now();
        let mut cursor = Cursor::default();
        cursor.note(0, &announced(&[3, 4]), now);
        assert_eq!(look(&mut cursor, &[3, 4, 5, 8], now), (4, vec![5, 8]));
        assert_eq!(look(&mut cursor, &[3, 4, 5, 7, 8], now), (5, vec![7]));
        assert_eq!(look(&mut cursor, &[5, 7, 8, 9], now), (5, vec![9]));
        assert_eq!(look(&mut cursor, &[5, 6, 7, 8, 9], now), (5, vec![6]));
        assert_eq!(look(&mut cursor, &[6, 7, 8, 9], now), (9, vec![]));
    }

    #[tokio::test]
    async fn numbers_that_never_come_are_given_up() {
        let now = Instant::now();
        let mut cursor = Cursor::default();
        cursor.note(0, &announced(&[1]), now);
        assert_eq!(look(&mut cursor, &[1, 3], now), (1, vec![3]));
        let later = now + WAITED_FOR;
        assert_eq!(look(&mut cursor, &[1, 3, 4], later), (1, vec![4]));
        assert_eq!(look(&mut cursor, &[1, 3, 4], later), (4, vec![]));
        assert_eq!(look(&mut cursor, &[i64::MAX], later).1, [i64::MAX]);
        assert_eq!(cursor.missing.len() as i64, MOST_MISSING);
    }

    #[tokio::test]
    async fn a_restored_table_begins_anew() {
        let now = Instant::now();
        let mut cursor = Cursor::default();
        cursor.note(0, &announced(&[900]), now);
        cursor.note(850, &announced(&[901]), now);
        assert_eq!(cursor.begin(), 901);
        cursor.note(0, &announced(&[5]), now);
        assert_eq!(look(&mut cursor, &[5, 6], now), (5, vec![6]));
        cursor.note(0, &[], now);
        assert_eq!(cursor.begin(), 0);
    }
}
