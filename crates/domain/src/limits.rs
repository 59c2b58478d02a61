//! The arithmetic of rate limits, pure: backends keep a [`Tally`] per key and make each change
//! atomic in their own way.

use jiff::{SignedDuration, Timestamp};

use crate::rotation::later;

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// At most `limit` times in a window that begins with the first time.
    Window {
        /// How often; at least 1.
        limit: u32,
        /// How long a window is.
        window: SignedDuration,
    },
    /// `free` times without waiting; after that, each time only when a delay since the one before
    /// has passed, which doubles from `first` up to `longest`. Nobody is ever locked out for longer than `longest`.
    Backoff {
        /// How often without a delay.
        free: u32,
        /// The first delay.
        first: SignedDuration,
        /// The greatest delay.
        longest: SignedDuration,
        /// All is forgotten when nothing has happened for so long.
        forget: SignedDuration,
    },
}

/// What a backend keeps for a key. No tally is the same as one that has lapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How often it has happened.
    pub count: u32,
    /// For a window: when it ends. For a backoff: when the next time is admitted.
    pub until: Timestamp,
    /// From then on the tally means nothing and may be removed.
    pub lapses_at: Timestamp,
}

/// Why a place is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Nothing was evaluated: it is as if the place had not been taken.
    Unused,
    /// What was tried was right. A backoff forgets all that was wrong before it.
    Right,
}

/// Whether something may happen once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It may, and this is the tally from now on.
    Admitted {
        /// To be stored.
        tally: Tally,
        /// How often it may happen yet without waiting.
        remaining: u32,
    },
    /// It may not yet.
    Refused {
        /// When it may.
        retry_at: Timestamp,
    },
}

impl Rule {
    /// Takes a place, if there is one.
    pub fn take(&self, tally: Option<Tally>, now: Timestamp) -> Taken {
        let tally = tally
            .map(|tally| self.settle(tally, now))
            .filter(|tally| now < tally.lapses_at);
        match *self {
            Self::Window { limit, window } => {
                let (count, until) = tally.map_or((0, later(now, window)), |t| (t.count, t.until));
                if count >= limit {
                    return Taken::Refused { retry_at: until };
                }
                let tally = Tally {
                    count: count + 1,
                    until,
                    lapses_at: until,
                };
                let remaining = limit - tally.count;
                Taken::Admitted { tally, remaining }
            }
            Self::Backoff { free, forget, .. } => {
                let count = tally.map_or(0, |tally| tally.count);
                if let Some(tally) = tally.filter(|tally| now < tally.until) {
                    return Taken::Refused {
                        retry_at: tally.until,
                    };
                }
                let count = count.saturating_add(1);
                let until = later(now, self.delay(count));
                let tally = Tally {
                    count,
                    until,
                    lapses_at: later(until, forget),
                };
                let remaining = free.saturating_sub(count);
                Taken::Admitted { tally, remaining }
            }
        }
    }

    /// Gives a place back that was taken when the tally's `until` was `taken_until`. `None`: nothing
    /// is left to be kept. A place of a window that has ended since is gone with it.
    pub fn give_back(
        &self,
        tally: Tally,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Option<Tally> {
        let one_less = (tally.count > 1).then(|| Tally {
            count: tally.count.saturating_sub(1),
            ..tally
        });
        match (self, why) {
            (Self::Backoff { .. }, Return::Right) => None,
            (Self::Window { .. }, _) if tally.until != taken_until => Some(tally),
            (Self::Window { .. }, _) => one_less,
            // Nobody else has taken a place since, so the wait was for this one: it is over.
            (Self::Backoff { .. }, Return::Unused) if tally.until == taken_until => {
                one_less.map(|tally| Tally {
                    until: tally.until.min(now),
                    ..tally
                })
            }
            (Self::Backoff { .. }, Return::Unused) => one_less,
        }
    }

    /// The span that the quota is for; `None` where it is for no fixed one.
    pub fn window(&self) -> Option<SignedDuration> {
        match *self {
            Self::Window { window, .. } => Some(window),
            Self::Backoff { .. } => None,
        }
    }

    /// How often it may happen without waiting: the quota that clients are told.
    pub fn quota(&self) -> u32 {
        match *self {
            Self::Window { limit, .. } => limit,
            Self::Backoff { free, .. } => free,
        }
    }

    /// A tally as it can be at `now`: after the clock was stepped back one may lie far in the future, and no
    /// wait is longer than the rule's own. A backend stores what it gets from this where that differs, or
    /// the wait would begin anew with every look.
    pub fn settle(&self, tally: Tally, now: Timestamp) -> Tally {
        let (longest, after) = match *self {
            Self::Window { window, .. } => (window, SignedDuration::ZERO),
            Self::Backoff { forget, .. } => (self.delay(tally.count), forget),
        };
        let until = tally.until.min(later(now, longest));
        Tally {
            until,
            lapses_at: tally.lapses_at.min(later(until, after)),
            ..tally
        }
    }

    /// The wait after the `count`-th time.
    fn delay(&self, count: u32) -> SignedDuration {
        match *self {
            Self::Window { .. } => SignedDuration::ZERO,
            Self::Backoff {
                free,
                first,
                longest,
                ..
            } => {
                let Some(doublings) = count.checked_sub(free) else {
                    return SignedDuration::ZERO;
                };
                let factor = 1_i32.checked_shl(doublings).filter(|factor| *factor > 0);
                let delay = factor.and_then(|factor| first.checked_mul(factor));
                delay.unwrap_or(longest).min(longest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOGIN: Rule = Rule::Window {
        limit: 5,
        window: SignedDuration::from_mins(15),
    };
    const ACCOUNT: Rule = Rule::Backoff {
        free: 3,
        first: SignedDuration::from_secs(1),
        longest: SignedDuration::from_mins(5),
        forget: SignedDuration::from_hours(24),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn admitted(taken: Taken) -> (Tally, u32) {
        match taken {
            Taken::Admitted { tally, remaining } => (tally, remaining),
            Taken::Refused { retry_at } => panic!("refused until {retry_at}"),
        }
    }

    #[test]
    fn five_in_a_window_and_then_a_new_one() {
        let mut tally = None;
        for remaining in [4, 3, 2, 1, 0] {
            let (next, left) = admitted(LOGIN.take(tally, at(10)));
            assert_eq!(left, remaining);
            tally = Some(next);
        }
        let refused = Taken::Refused { retry_at: at(910) };
        assert_eq!(LOGIN.take(tally, at(11)), refused);
        assert_eq!(LOGIN.take(tally, at(909)), refused);
        assert_eq!(admitted(LOGIN.take(tally, at(910))).1, 4);
    }

    #[test]
    fn a_place_given_back_can_be_taken_again() {
        let mut tally = None;
        for _ in 0..5 {
            tally = Some(admitted(LOGIN.take(tally, at(0))).0);
        }
        let full = tally.unwrap();
        let tally = LOGIN.give_back(full, full.until, Return::Right, at(1));
        assert_eq!(admitted(LOGIN.take(tally, at(1))).1, 0);
        // Of a window that has ended, nothing comes back into the next.
        let (next, _) = admitted(LOGIN.take(Some(full), at(1000)));
        let kept = LOGIN.give_back(next, full.until, Return::Unused, at(1000));
        assert_eq!(kept, Some(next));
        let gone = LOGIN.give_back(next, next.until, Return::Unused, at(1000));
        assert_eq!(gone, None);
    }

    #[test]
    fn delays_double_and_end() {
        let mut tally: Option<Tally> = None;
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..14 {
            let (next, _) = admitted(ACCOUNT.take(tally, now));
            let wait = next.until.duration_since(now).as_secs();
            waits.push(wait);
            if wait > 0 {
                let before = ACCOUNT.take(Some(next), now);
                assert_eq!(
                    before,
                    Taken::Refused {
                        retry_at: next.until
                    }
                );
            }
            now = next.until;
            tally = Some(next);
        }
        assert_eq!(
            waits,
            [0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
        );
        let last = tally.unwrap();
        assert_eq!(
            ACCOUNT.give_back(last, last.until, Return::Right, now),
            None
        );
        let forgotten = later(now, SignedDuration::from_hours(24));
        assert_eq!(admitted(ACCOUNT.take(tally, forgotten)).0.count, 1);
    }

    #[test]
    fn an_attempt_that_was_not_evaluated_adds_no_delay_and_forgets_nothing() {
        let mut tally = None;
        let mut now = at(0);
        for _ in 0..6 {
            let (next, _) = admitted(ACCOUNT.take(tally, now));
            (tally, now) = (Some(next), next.until);
        }
        let (unused, _) = admitted(ACCOUNT.take(tally, now));
        assert_eq!(unused.until.duration_since(now).as_secs(), 16);
        let back = ACCOUNT
            .give_back(unused, unused.until, Return::Unused, now)
            .unwrap();
        assert_eq!(back.count, 6);
        let (again, _) = admitted(ACCOUNT.take(Some(back), now));
        assert_eq!(again.until.duration_since(now).as_secs(), 16);
        // Another wrong one came in between: its delay stays.
        let late = ACCOUNT
            .give_back(again, at(0), Return::Unused, now)
            .unwrap();
        assert_eq!((late.count, late.until), (6, again.until));
    }

    #[test]
    fn a_clock_stepped_back_freezes_nobody() {
        let mut tally = None;
        for _ in 0..5 {
            tally = Some(admitted(LOGIN.take(tally, at(7200))).0);
        }
        let refused = Taken::Refused { retry_at: at(900) };
        assert_eq!(LOGIN.take(tally, at(0)), refused);
        let settled = tally.map(|tally| LOGIN.settle(tally, at(0)));
        assert_eq!(LOGIN.take(settled, at(899)), refused);
        assert_eq!(admitted(LOGIN.take(settled, at(900))).1, 4);
    }

    proptest! {
        #[test]
        fn a_window_never_admits_more_than_its_limit(
            limit in 1_u32..20,
            steps in prop::collection::vec((0_i64..400, any::<bool>()), 1..200),
        ) {
            let window = SignedDuration::from_secs(900);
            let rule = Rule::Window { limit, window };
            let (mut now, mut tally, mut held) = (0, None, Vec::new());
            for (step, give_back) in steps {
                now += step;
                if let Taken::Admitted { tally: next, remaining } = rule.take(tally, at(now)) {
                    prop_assert_eq!(remaining, limit - next.count);
                    tally = Some(next);
                    held.push(next.until);
                    if give_back {
                        held.pop();
                        tally = rule.give_back(next, next.until, Return::Unused, at(now));
                    }
                }
                let current = tally.map(|tally| tally.until);
                let of_window = held.iter().filter(|until| Some(**until) == current).count();
                prop_assert!(of_window <= limit as usize);
            }
        }

        #[test]
        fn nobody_waits_longer_than_the_rule_says(count: u32, until in 0_i64..1_000_000, now in 0_i64..1_000_000) {
            let tally = Tally { count, until: at(until), lapses_at: at(until + 86_400) };
            for (rule, longest) in [(LOGIN, 900), (ACCOUNT, 300)] {
                if let Taken::Refused { retry_at } = rule.take(Some(tally), at(now)) {
                    prop_assert!(retry_at > at(now));
                    prop_assert!(retry_at <= at(now + longest));
                }
            }
        }
    }
}
