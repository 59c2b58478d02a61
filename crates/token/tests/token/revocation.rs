use countersign_token::{Claims, RevocationSet};
use proptest::prelude::*;

use crate::support::{NOW, claims, id};

#[test]
fn an_ended_session_is_refused_and_no_other() {
    let set = RevocationSet::new();
    assert!(set.is_empty() && !set.refuses(&claims()));
    set.end_session(claims().sid, NOW + 900);
    assert!(set.refuses(&claims()));
    let other_session_of_the_user = Claims {
        sid: id(77),
        ..claims()
    };
    assert!(!set.refuses(&other_session_of_the_user));
}

#[test]
fn ending_a_user_refuses_what_was_issued_before() {
    let set = RevocationSet::new();
    set.end_user(claims().sub, NOW + 1, NOW + 900);
    let issued = |iat| Claims { iat, ..claims() };
    assert!(set.refuses(&issued(NOW - 100)) && set.refuses(&issued(NOW)));
    assert!(!set.refuses(&issued(NOW + 1)));
    let other_user = Claims {
        sub: id(77),
        ..claims()
    };
    assert!(!set.refuses(&other_user));
}

#[test]
fn a_session_and_a_user_of_one_id_are_different_things() {
    let set = RevocationSet::new();
    set.end_session(claims().sub, NOW);
    set.end_user(claims().sid, NOW + 1, NOW);
    assert!(!set.refuses(&claims()));
    assert_eq!(set.len(), 2);
}

#[test]
fn entries_go_when_their_time_has_passed_and_not_before() {
    let set = RevocationSet::new();
    set.end_session(id(3), NOW);
    set.end_session(id(4), NOW + 10);
    set.end_user(id(5), NOW, NOW + 20);
    for (now, left) in [
        (NOW, 3),
        (NOW + 1, 2),
        (NOW + 10, 2),
        (NOW + 11, 1),
        (NOW + 21, 0),
    ] {
        set.purge(now);
        assert_eq!(set.len(), left, "at {now}");
    }
}

#[test]
fn threads_see_each_others_entries() {
    let set = RevocationSet::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let set = &set;
            scope.spawn(move || {
                for number in 0..500 {
                    let sid = id(thread * 1000 + number);
                    set.end_session(sid, NOW);
                    assert!(set.refuses(&Claims { sid, ..claims() }));
                }
            });
        }
    });
    assert_eq!(set.len(), 2000);
}

#[derive(Debug, Clone)]
enum Event {
    Session(u128, i64),
    User(u128, i64, i64),
}

fn apply(set: &RevocationSet, event: &Event) {
    match *event {
        Event::Session(sid, until) => set.end_session(id(sid), until),
        Event::User(sub, not_before, until) => set.end_user(id(sub), not_before, until),
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..4u128, 0..8i64).prop_map(|(sid, until)| Event::Session(sid, until)),
        (0..4u128, 0..8i64, 0..8i64).prop_map(|(sub, from, until)| Event::User(sub, from, until)),
    ]
}

/// Everything that can be asked of the set, before and after entries have lapsed.
fn answers(set: &RevocationSet) -> Vec<(usize, Vec<bool>)> {
    (0..9)
        .map(|now| {
            set.purge(now);
            let refused = (0..4 * 4 * 9)
                .map(|n| {
                    set.refuses(&Claims {
                        sid: id(n % 4),
                        sub: id(n / 4 % 4),
                        iat: (n / 16) as i64,
                        ..claims()
                    })
                })
                .collect();
            (set.len(), refused)
        })
        .collect()
}

proptest! {
    #[test]
    fn order_and_repetition_change_nothing(
        (events, shuffled) in prop::collection::vec(event(), 0..20)
            .prop_flat_map(|events| (Just(events.clone()), Just([events.clone(), events].concat()).prop_shuffle())),
    ) {
        let (once, again) = (RevocationSet::new(), RevocationSet::new());
        events.iter().for_each(|event| apply(&once, event));
        shuffled.iter().for_each(|event| apply(&again, event));
        prop_assert_eq!(answers(&once), answers(&again));
    }
}
