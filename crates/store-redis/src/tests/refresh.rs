use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Decision, RotationPolicy, SessionState, decide};
use countersign_domain::{SessionId, UserId};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use uuid::Uuid;

use super::support::{CLUSTER, SINGLE, calls, link};
use crate::calls::Calls;
use crate::entry::{self, Answer, Entry, Facts, Token};
use crate::link::Link;

const POLICY: RotationPolicy = RotationPolicy {
    grace: SignedDuration::from_secs(30),
    idle: SignedDuration::from_hours(1),
};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + micros).unwrap()
}

fn entry(generation: u32, rotated_at: i64, idle: i64, expires: i64) -> Entry {
    Entry {
        state: SessionState {
            generation,
            rotated_at: at(rotated_at),
            idle_expires_at: at(idle),
            expires_at: at(expires),
            ended: None,
        },
        facts: Facts {
            user: UserId(Uuid::from_u128(1)),
            auth_time: at(-1),
            amr: vec!["pwd".to_owned()],
            roles: vec!["reader".to_owned()],
        },
    }
}

const HOUR: i64 = 3_600_000_000;

fn live() -> Entry {
    entry(5, 0, HOUR, 4 * HOUR)
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

struct Key<'a> {
    link: &'a Link,
    calls: &'a Calls,
    id: SessionId,
}

impl Key<'_> {
    async fn set(&self, value: Vec<u8>) {
        let mut set = redis::cmd("SET");
        set.arg(self.calls.names.session(self.id))
            .arg(value)
            .arg("PX")
            .arg(60_000);
        self.link.query::<()>(&set).await.unwrap();
    }

    async fn get(&self) -> Option<Vec<u8>> {
        self.link.query(&self.calls.look(self.id)).await.unwrap()
    }

    async fn refresh(
        &self,
        generation: u32,
        now: Timestamp,
        policy: &RotationPolicy,
        token: u8,
        filling: Option<&Entry>,
    ) -> Answer {
        let filling = filling.map(|entry| ([token; 16], entry.clone()));
        let presented = Presented {
            session: self.id,
            generation,
        };
        let call = self
            .calls
            .refresh(presented, policy, now, &[token; 16], filling.as_ref());
        let bytes: Vec<u8> = self.link.query(&call).await.unwrap();
        Answer::read(&bytes).unwrap()
    }

    async fn present(&self, generation: u32) -> Answer {
        self.refresh(generation, at(1), &POLICY, 1, None).await
    }
}

fn live_value(entry: &Entry) -> Vec<u8> {
    [b"L".as_slice(), &entry.write()].concat()
}

/// A time near one of the moments that matter.
fn near() -> impl Strategy<Value = i64> {
    let moments = [0, 30_000_000, HOUR, 2 * HOUR, 4 * HOUR];
    let near = prop::sample::select(moments.to_vec());
    prop_oneof![
        (near, -3_i64..3).prop_map(|(moment, off)| moment + off),
        -HOUR..5 * HOUR,
    ]
}

/// The script against the pure decision, over thousands of states and tokens.
fn script_decides_as_the_domain(variable: &'static str, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (link, calls) = runtime.block_on(async {
        let link = link(variable).await;
        let calls = calls(&link).await;
        (link, calls)
    });
    let generation = || prop_oneof![0_u32..8, u32::MAX - 3..=u32::MAX, any::<u32>()];
    let case = (
        (generation(), generation(), any::<bool>()),
        (near(), near(), near(), near()),
        prop::sample::select(vec![0_i64, 1, 30_000_000, HOUR]),
        1_i64..3 * HOUR,
        any::<u128>(),
    );
    let mut runner = TestRunner::new(Config::with_cases(cases));
    let outcome = runner.run(&case, |case| {
        let ((generation, other, close), (now, rotated, idle, expires), grace, policy_idle, id) =
            case;
        let presented = match close {
            true => generation
                .saturating_sub(other % 4)
                .saturating_add(other % 3),
            false => other,
        };
        let policy = RotationPolicy {
            grace: SignedDuration::from_micros(grace),
            idle: SignedDuration::from_micros(policy_idle),
        };
        let key = Key {
            link: &link,
            calls: &calls,
            id: session(id),
        };
        let before = entry(generation, rotated, idle, expires);
        let now = at(now);
        let (answer, after) = runtime.block_on(async {
            key.set(live_value(&before)).await;
            let answer = key.refresh(presented, now, &policy, 1, None).await;
            (answer, Entry::under_key(&key.get().await.unwrap()).unwrap())
        });
        let expected = match decide(&before.state, presented, now, &policy) {
            Decision::Rotate { to, adopted } => {
                let state = before.state.rotated(to, now, &policy);
                Answer::Rotated {
                    entry: Entry {
                        state,
                        ..before.clone()
                    },
                    adopted,
                }
            }
            Decision::Repeat { .. } => Answer::Repeated(before.clone()),
            Decision::Reuse => Answer::LooksReused(before.clone()),
            Decision::Dead(_) => Answer::LooksExpired,
        };
        prop_assert_eq!(&answer, &expected);
        let left = match expected {
            Answer::Rotated { entry, .. } => entry,
            _ => before,
        };
        prop_assert_eq!(after, left);
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn script_decides_as_the_domain_on_one_server() {
    script_decides_as_the_domain(SINGLE, 3000);
}

#[test]
fn script_decides_as_the_domain_on_a_cluster() {
    script_decides_as_the_domain(CLUSTER, 300);
}

fn miss(token: u8, kept: bool) -> Answer {
    Answer::Miss {
        token: [token; 16],
        kept,
    }
}

#[tokio::test]
async fn key_is_filled_under_its_lease_only() {
    let link = link(SINGLE).await;
    let calls = calls(&link).await;
    let key = Key {
        link: &link,
        calls: &calls,
        id: session(1),
    };
    let fill = async |token: u8| key.refresh(5, at(1), &POLICY, token, Some(&live())).await;

    assert_eq!(fill(1).await, miss(1, false), "nobody had leased it");
    assert_eq!(key.present(5).await, miss(1, false));
    let other = key.refresh(5, at(1), &POLICY, 2, None).await;
    assert_eq!(other, miss(1, false), "a second one joins");
    assert_eq!(fill(2).await, miss(1, false), "not the token that is there");
    let filled = fill(1).await;
    assert!(
        matches!(&filled, Answer::Rotated { entry, adopted: false } if entry.state.generation == 6)
    );
    // The other reader's copy is older than what is live by now.
    let late = fill(1).await;
    assert!(
        matches!(&late, Answer::Repeated(entry) if entry.state.generation == 6),
        "{late:?}"
    );
}

#[tokio::test]
async fn nothing_revives_what_ended() {
    let link = link(SINGLE).await;
    let calls = calls(&link).await;
    let token: Token = [1; 16];
    for (number, buried) in [(1, true), (2, false)] {
        let key = Key {
            link: &link,
            calls: &calls,
            id: session(number),
        };
        assert_eq!(key.present(5).await, miss(1, false));
        // The session ends between the reading of the database and the filling.
        let end = match buried {
            true => calls.bury(key.id),
            false => calls.forget(key.id),
        };
        link.query::<()>(&end).await.unwrap();
        let filled = key.refresh(5, at(1), &POLICY, 1, Some(&live())).await;
        match buried {
            true => assert_eq!(filled, Answer::Gone),
            false => assert_eq!(filled, miss(1, false)),
        }
        link.query::<()>(&end).await.unwrap();
        let opened: i64 = link
            .query(&calls.open(key.id, &token, &live(), at(1)))
            .await
            .unwrap();
        let raised: i64 = link
            .query(&calls.raise(key.id, &live().state))
            .await
            .unwrap();
        link.query::<()>(&calls.stale(key.id)).await.unwrap();
        assert_eq!((opened, raised), (0, 0));
        assert_eq!(key.get().await, buried.then(|| entry::TOMBSTONE.to_vec()));
    }
}

#[tokio::test]
async fn new_session_is_live_unless_something_happened_to_it() {
    let link = link(SINGLE).await;
    let calls = calls(&link).await;
    let token: Token = [1; 16];
    for (number, happened) in [(1, false), (2, true)] {
        let key = Key {
            link: &link,
            calls: &calls,
            id: session(number),
        };
        link.query::<()>(&calls.lease(key.id, &token))
            .await
            .unwrap();
        if happened {
            link.query::<()>(&calls.stale(key.id)).await.unwrap();
        }
        let opened: i64 = link
            .query(&calls.open(key.id, &token, &live(), at(1)))
            .await
            .unwrap();
        assert_eq!(opened, i64::from(!happened));
        let answer = key.present(5).await;
        match happened {
            false => assert!(matches!(answer, Answer::Rotated { .. })),
            true => assert_eq!(answer, miss(1, false)),
        }
    }
}

#[tokio::test]
async fn stale_facts_are_read_again_and_the_generation_is_kept() {
    let link = link(SINGLE).await;
    let calls = calls(&link).await;
    let key = Key {
        link: &link,
        calls: &calls,
        id: session(1),
    };
    key.set(live_value(&live())).await;
    link.query::<()>(&calls.stale(key.id)).await.unwrap();
    assert_eq!(key.present(5).await, miss(1, true));
    // They change once more while they are read: that reading may not be used.
    link.query::<()>(&calls.stale(key.id)).await.unwrap();
    let mut read = entry(2, -9, HOUR, 4 * HOUR);
    read.facts.roles = vec!["admin".to_owned()];
    assert_eq!(
        key.refresh(5, at(1), &POLICY, 1, Some(&read)).await,
        miss(1, true)
    );
    let answer = key.refresh(5, at(1), &POLICY, 1, Some(&read)).await;
    let Answer::Rotated { entry, adopted } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (entry.state.generation, adopted),
        (6, false),
        "the database is behind"
    );
    assert_eq!(entry.facts, read.facts);
    // And the other way round.
    link.query::<()>(&calls.stale(key.id)).await.unwrap();
    assert_eq!(key.present(6).await, miss(1, true));
    let mut ahead = read.clone();
    ahead.state.generation = 9;
    let answer = key.refresh(6, at(1), &POLICY, 1, Some(&ahead)).await;
    assert!(matches!(answer, Answer::LooksReused(entry) if entry.state.generation == 9));
}

#[tokio::test]
async fn raising_never_lowers() {
    let link = link(SINGLE).await;
    let calls = calls(&link).await;
    for (number, kept) in [(1, false), (2, true)] {
        let key = Key {
            link: &link,
            calls: &calls,
            id: session(number),
        };
        key.set(live_value(&live())).await;
        if kept {
            link.query::<()>(&calls.stale(key.id)).await.unwrap();
        }
        for (generation, rotated_at, changes) in [
            (4, 99, false),
            (5, 0, false),
            (5, 7, true),
            (8, 9, true),
            (7, 10, false),
        ] {
            let state = entry(generation, rotated_at, HOUR + 5, 4 * HOUR).state;
            let raised: i64 = link.query(&calls.raise(key.id, &state)).await.unwrap();
            assert_eq!(raised, i64::from(changes), "{generation} {rotated_at}");
        }
        let left = Entry::under_key(&key.get().await.unwrap()).unwrap();
        assert_eq!(left, entry(8, 9, HOUR + 5, 4 * HOUR));
    }
}
