use countersign_domain::limits::{Return, Rule, Taken};
use countersign_store::LimitKey;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::support::{SINGLE, calls, link};
use crate::calls::read_taken;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(1_800_000_000_000_000 + micros).unwrap()
}

fn rule() -> impl Strategy<Value = Rule> {
    let micros = |most: i64| (1..most).prop_map(SignedDuration::from_micros);
    prop_oneof![
        (1_u32..6, micros(900)).prop_map(|(limit, window)| Rule::Window { limit, window }),
        (0_u32..4, micros(20), micros(2000), micros(5000)).prop_map(
            |(free, first, longest, forget)| Rule::Backoff {
                free,
                first,
                longest,
                forget,
            }
        ),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Take,
    /// Gives back the place that was taken so many takes ago.
    GiveBack(usize, bool),
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let step = prop_oneof![
        3 => Just(Step::Take),
        1 => (0_usize..3, any::<bool>()).prop_map(|(ago, right)| Step::GiveBack(ago, right)),
    ];
    // The clock may be set back.
    (
        prop_oneof![8 => 0_i64..300, 1 => -2000_i64..0, 1 => 0_i64..6000],
        step,
    )
}

/// Random histories: the scripts against the domain's arithmetic.
#[test]
fn scripts_count_as_the_domain() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (link, calls) = runtime.block_on(async {
        let link = link(SINGLE).await;
        let calls = calls(&link).await;
        (link, calls)
    });
    let case = (
        rule(),
        prop::collection::vec(step(), 1..40),
        any::<[u8; 16]>(),
    );
    let mut runner = TestRunner::new(Config::with_cases(300));
    let outcome = runner.run(&case, |(rule, steps, key)| {
        let key = LimitKey(key);
        let (mut now, mut tally, mut taken) = (0, None, Vec::new());
        for (passes, step) in steps {
            now += passes;
            match step {
                Step::Take => {
                    tally = tally.map(|tally| rule.settle(tally, at(now)));
                    let expected = rule.take(tally, at(now));
                    let call = calls.take(key, &rule, at(now));
                    let bytes: Vec<u8> = runtime.block_on(link.query(&call)).unwrap();
                    prop_assert_eq!(read_taken(&bytes, &rule), Some(expected));
                    if let Taken::Admitted { tally: next, .. } = expected {
                        tally = Some(next);
                        taken.push(next.until);
                    }
                }
                Step::GiveBack(ago, right) => {
                    let Some(until) = taken.iter().rev().nth(ago).copied() else {
                        continue;
                    };
                    let why = if right { Return::Right } else { Return::Unused };
                    tally = tally.and_then(|tally| rule.give_back(tally, until, why, at(now)));
                    let call = calls.give_back(key, &rule, until, why, at(now));
                    runtime.block_on(link.query::<i64>(&call)).unwrap();
                }
            }
        }
        let name = calls.names.limit(key);
        let mut del = redis::cmd("DEL");
        runtime.block_on(link.query::<i64>(del.arg(name))).unwrap();
        Ok(())
    });
    outcome.unwrap();
}
