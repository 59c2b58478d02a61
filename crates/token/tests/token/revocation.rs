use countersign_token::{Claims, RevocationSet, Revoked, What};
use proptest::prelude::*;

use crate::support::{NOW, claims, id};

#[test]
fn an_ended_session_is_refused_and_no_other() {
    let set = RevocationSet::new();
    assert!(set.is_empty() && !set.refuses(&claims()));
    set.end_session(claims().sid, NOW + 900, None);
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
    set.end_user(claims().sub, (NOW + 1) * 1000, NOW + 900, None);
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
    set.end_session(claims().sub, NOW, None);
    set.end_user(claims().sid, (NOW + 1) * 1000, NOW, None);
    assert!(!set.refuses(&claims()));
    assert_eq!(set.len(), 2);
}

#[test]
fn entries_go_when_their_time_has_passed_and_not_before() {
    let set = RevocationSet::new();
    set.end_session(id(3), NOW, None);
    set.end_session(id(4), NOW + 10, None);
    set.end_user(id(5), NOW * 1000, NOW + 20, None);
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
                    set.end_session(sid, NOW, None);
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
        Event::Session(sid, until) => {
            set.end_session(id(sid), until, None);
        }
        Event::User(sub, not_before, until) => {
            set.end_user(id(sub), not_before * 1000, until, None);
        }
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

/// A token of a second.
fn issued(iat: i64) -> Claims {
    Claims { iat, ..claims() }
}

/// A token of the millisecond `millis` of second `NOW`.
fn issued_in(millis: u64) -> Claims {
    let jti = uuid::Builder::from_unix_timestamp_millis(NOW as u64 * 1000 + millis, &[7; 10]);
    Claims {
        iat: NOW,
        jti: jti.into_uuid(),
        ..claims()
    }
}

#[test]
fn a_token_and_its_successor_may_be_of_one_second() {
    let set = RevocationSet::new();
    set.end_user(claims().sub, NOW * 1000 + 500, NOW + 900, Some(id(9)));
    let revoked = Revoked {
        what: What::User,
        event: Some(id(9)),
    };
    assert_eq!(set.find(&issued_in(499)), Some(revoked));
    assert_eq!(set.find(&issued_in(500)), None);
    // Without the millisecond, the whole second counts as before.
    assert!(set.refuses(&issued(NOW)));
    // A `jti` that speaks of another second says nothing.
    let foreign = Claims {
        jti: issued_in(2000).jti,
        ..issued(NOW)
    };
    assert!(set.refuses(&foreign));
}

#[test]
fn everybody_and_then_nobody() {
    let set = RevocationSet::new();
    set.end_everybody((NOW + 1) * 1000, NOW + 10, Some(id(9)));
    set.end_everybody(NOW * 1000, NOW + 5, Some(id(8)));
    let found = set.find(&issued(NOW)).unwrap();
    assert_eq!((found.what, found.event), (What::Everybody, Some(id(9))));
    assert!(!set.refuses(&issued(NOW + 1)));
    assert_eq!(set.len(), 1);
    set.purge(NOW + 10);
    assert!(set.refuses(&issued(NOW)));
    set.purge(NOW + 11);
    assert!(set.is_empty());
}

#[test]
fn a_session_says_more_than_its_user() {
    let set = RevocationSet::new();
    set.end_user(claims().sub, (NOW + 1) * 1000, NOW, Some(id(1)));
    set.end_session(claims().sid, NOW, Some(id(2)));
    set.end_session(claims().sid, NOW, None);
    let found = set.find(&claims()).unwrap();
    assert_eq!((found.what, found.event), (What::Session, Some(id(2))));
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

#[test]
fn what_changes_nothing_is_no_news_and_the_entries_make_the_same_set_again() {
    use countersign_token::Revocation;
    let set = RevocationSet::new();
    let event = |n: u128| Some(id(n));
    assert!(set.end_session(id(1), 100, event(1)));
    assert!(!set.end_session(id(1), 100, event(1)));
    assert!(!set.end_session(id(1), 90, None));
    assert!(set.end_session(id(1), 110, None));
    assert!(set.end_user(id(2), 5_000, 100, event(2)));
    assert!(!set.end_user(id(2), 4_000, 100, event(3)));
    assert!(set.end_user(id(2), 6_000, 90, event(3)));
    assert!(set.end_everybody(7_000, 100, None));
    assert!(!set.end_everybody(7_000, 100, None));

    let mut entries = set.entries();
    entries.sort_unstable();
    let expected = [
        Revocation::Session {
            sid: id(1),
            until: 110,
            event: event(1),
        },
        Revocation::User {
            sub: id(2),
            not_before: 6_000,
            until: 100,
            event: event(3),
        },
        Revocation::Everybody {
            not_before: 7_000,
            until: 100,
            event: None,
        },
    ];
    assert_eq!(entries, expected);
    set.purge(105);
    assert_eq!(set.entries().len(), 1);
}
