//! Limits. The stores of a case share what is counted.

use std::sync::Arc;

use countersign_domain::limits::{Return, Rule, Taken, Tally};
use jiff::{SignedDuration, Timestamp};

use super::kit::{at, next};
use crate::{LimitKey, Limits};

const FIVE: Rule = Rule::Window {
    limit: 5,
    window: SignedDuration::from_mins(15),
};
const GROWING: Rule = Rule::Backoff {
    free: 3,
    first: SignedDuration::from_secs(1),
    longest: SignedDuration::from_secs(60),
    forget: SignedDuration::from_hours(1),
};

fn key() -> LimitKey {
    let mut bytes = [0x5a; 16];
    bytes[..8].copy_from_slice(&next().to_be_bytes());
    LimitKey(bytes)
}

async fn take<L: Limits>(limits: &L, key: LimitKey, rule: &Rule, now: Timestamp) -> Taken {
    limits.take(key, rule, now).await.unwrap()
}

async fn taken<L: Limits>(limits: &L, key: LimitKey, rule: &Rule, now: Timestamp) -> (Tally, u32) {
    match take(limits, key, rule, now).await {
        Taken::Admitted { tally, remaining } => (tally, remaining),
        refused => panic!("{refused:?}"),
    }
}

pub async fn as_many_places_as_the_limit<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let key = key();
    for (store, remaining) in [(&a, 4), (&b, 3), (&a, 2), (&a, 1), (&b, 0)] {
        assert_eq!(taken(&**store, key, &FIVE, at(0)).await.1, remaining);
    }
    let refused = Taken::Refused { retry_at: at(900) };
    for store in [&a, &b] {
        assert_eq!(take(&**store, key, &FIVE, at(1)).await, refused);
        assert_eq!(take(&**store, key, &FIVE, at(899)).await, refused);
    }
    assert_eq!(taken(&*b, key, &FIVE, at(900)).await.1, 4);
}

pub async fn keys_do_not_share_places<L: Limits>(a: Arc<L>, b: Arc<L>) {
    for _ in 0..3 {
        let key = key();
        for _ in 0..5 {
            taken(&*a, key, &FIVE, at(0)).await;
        }
        assert!(matches!(
            take(&*b, key, &FIVE, at(0)).await,
            Taken::Refused { .. }
        ));
    }
}

pub async fn places_are_given_back<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let key = key();
    let mut until = at(0);
    for _ in 0..5 {
        until = taken(&*a, key, &FIVE, at(0)).await.0.until;
    }
    for why in [Return::Unused, Return::Right] {
        b.give_back(key, &FIVE, until, why, at(1)).await.unwrap();
        assert_eq!(taken(&*a, key, &FIVE, at(1)).await.1, 0);
        assert!(matches!(
            take(&*b, key, &FIVE, at(1)).await,
            Taken::Refused { .. }
        ));
    }
    // A window later: nothing is taken from the new one.
    assert_eq!(taken(&*a, key, &FIVE, at(900)).await.1, 4);
    a.give_back(key, &FIVE, until, Return::Right, at(900))
        .await
        .unwrap();
    assert_eq!(taken(&*b, key, &FIVE, at(900)).await.1, 3);
    // The last place of a key, and one of a key that nobody has.
    let other = self::key();
    let until = taken(&*a, other, &FIVE, at(0)).await.0.until;
    for _ in 0..2 {
        a.give_back(other, &FIVE, until, Return::Right, at(0))
            .await
            .unwrap();
    }
    assert_eq!(taken(&*b, other, &FIVE, at(0)).await.1, 4);
}

pub async fn delays_grow_and_are_forgotten<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let key = key();
    let mut now = at(0);
    for wait in [0, 0, 1, 2, 4, 8, 16, 32, 60, 60] {
        let (tally, _) = taken(&*a, key, &GROWING, now).await;
        assert_eq!(tally.until.duration_since(now).as_secs(), wait);
        if wait > 0 {
            let retry_at = tally.until;
            let refused = Taken::Refused { retry_at };
            assert_eq!(take(&*b, key, &GROWING, now).await, refused);
        }
        now = tally.until;
    }
    // Not evaluated: as long a wait as before, not a longer one, and not from the start.
    let (tally, _) = taken(&*b, key, &GROWING, now).await;
    let unused = b.give_back(key, &GROWING, tally.until, Return::Unused, now);
    unused.await.unwrap();
    let (tally, _) = taken(&*a, key, &GROWING, now).await;
    assert_eq!(
        (tally.count, tally.until),
        (11, now + SignedDuration::from_secs(60))
    );
    let right = b.give_back(key, &GROWING, tally.until, Return::Right, now);
    right.await.unwrap();
    assert_eq!(taken(&*a, key, &GROWING, now).await.0.count, 1);
    let later = now + SignedDuration::from_hours(1);
    assert_eq!(taken(&*a, key, &GROWING, later).await.0.count, 1);
}

pub async fn a_clock_stepped_back_freezes_nobody<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let key = key();
    for _ in 0..5 {
        taken(&*a, key, &FIVE, at(86_400)).await;
    }
    let refused = Taken::Refused { retry_at: at(900) };
    for second in [0, 1, 450, 899] {
        assert_eq!(take(&*b, key, &FIVE, at(second)).await, refused);
    }
    assert_eq!(taken(&*a, key, &FIVE, at(900)).await.1, 4);
}

pub async fn exactly_five_of_64_at_once<L: Limits>(a: Arc<L>, b: Arc<L>) {
    for round in 0..4 {
        let (key, now) = (key(), at(round));
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                tokio::spawn(async move { take(&*store, key, &FIVE, now).await })
            })
            .collect();
        let mut left = Vec::new();
        for task in tasks {
            if let Taken::Admitted { remaining, .. } = task.await.unwrap() {
                left.push(remaining);
            }
        }
        left.sort_unstable();
        assert_eq!(left, [0, 1, 2, 3, 4]);
    }
}

/// Taking and giving back at once, by both stores: in the end every place is free again, and never
/// were more taken than there are.
pub async fn taking_and_giving_back_at_once_loses_nothing<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let (key, now) = (key(), at(0));
    let held = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let tasks: Vec<_> = (0..16)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
            let held = Arc::clone(&held);
            tokio::spawn(async move {
                use std::sync::atomic::Ordering::SeqCst;
                for _ in 0..8 {
                    if let Taken::Admitted { tally, .. } = take(&*store, key, &FIVE, now).await {
                        assert!(held.fetch_add(1, SeqCst) < 5);
                        tokio::task::yield_now().await;
                        held.fetch_sub(1, SeqCst);
                        let back = store.give_back(key, &FIVE, tally.until, Return::Right, now);
                        back.await.unwrap();
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(taken(&*a, key, &FIVE, now).await.1, 4);
}

pub async fn lapsed_ones_can_be_removed<L: Limits>(a: Arc<L>, b: Arc<L>) {
    let (old, new) = (key(), key());
    for _ in 0..5 {
        taken(&*a, old, &FIVE, at(0)).await;
        taken(&*a, new, &FIVE, at(600)).await;
    }
    for _ in 0..3 {
        taken(&*a, key(), &FIVE, at(0)).await;
    }
    let remove = async |most, second| b.remove_lapsed_limits(most, at(second)).await.unwrap();
    assert_eq!(remove(100, 899).await, 0);
    // A backend in which they lapse by themselves has none to remove.
    let removed = remove(3, 900).await;
    let left = if removed == 0 { 0 } else { 1 };
    assert!(removed == 0 || removed == 3, "{removed}");
    assert_eq!(remove(100, 900).await, left);
    assert!(matches!(
        take(&*a, new, &FIVE, at(900)).await,
        Taken::Refused { .. }
    ));
    assert_eq!(taken(&*a, old, &FIVE, at(900)).await.1, 4);
}
