use countersign_domain::audit::{Fault, MarkKind};
use countersign_flows::VerifyError;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use tokio::runtime::Runtime;

use crate::edit::{Edit, edits, plan, replace};
use crate::log::{Log, Shape};
use crate::support;

/// From logs that are little more than their registrations to some of forty events.
fn shapes() -> Vec<Shape> {
    let shape = |batches: &[u64], checkpoints: &[usize], cuts: &[u64], waiting| Shape {
        batches: batches.to_vec(),
        checkpoints: checkpoints.to_vec(),
        cuts: cuts.to_vec(),
        waiting,
    };
    vec![
        shape(&[4], &[], &[], 0),
        shape(&[3, 1, 1], &[1], &[], 1),
        shape(&[6, 1, 1, 1], &[0, 2], &[3], 2),
        shape(&[12, 1, 1, 1, 1], &[1, 2, 4], &[2, 4], 0),
        shape(&[25, 1, 1, 1, 1, 1], &[1, 3, 5], &[], 5),
    ]
}

fn found(runtime: &Runtime, log: &mut Log, sql: &str) -> Result<u64, VerifyError> {
    runtime.block_on(async {
        log.raw.run(sql).await;
        let outcome = log.flows.verify_audit(None).await;
        log.raw.restore().await;
        outcome.map(|verified| verified.position)
    })
}

fn check(runtime: &Runtime, log: &mut Log, edit: &Edit) -> Result<(), TestCaseError> {
    let Some((sql, expected)) = plan(log, edit) else {
        return Err(TestCaseError::reject("nothing to do it to"));
    };
    match found(runtime, log, &sql) {
        Err(VerifyError::Tampered(fault)) => prop_assert_eq!(fault, expected, "{}", sql),
        other => prop_assert!(false, "{:?} after {}", other, sql),
    }
    Ok(())
}

fn run(runtime: &Runtime, mut log: Log, cases: u32) {
    let untouched = runtime.block_on(log.flows.verify_audit(None)).unwrap();
    assert_eq!(untouched.position, log.head().position);
    assert_eq!(untouched.hash, log.head().hash);
    assert_eq!(untouched.events, log.sealed.len() as u64);
    assert_eq!(untouched.cut, log.begin());
    assert_eq!(untouched.checkpoints, log.checkpoints.len() as u64);
    assert_eq!(untouched.unsealed, log.waiting.len());
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        max_global_rejects: 100_000,
        ..ProptestConfig::default()
    });
    let log = std::cell::RefCell::new(&mut log);
    let outcome = runner.run(&edits(), |edit| {
        check(runtime, &mut log.borrow_mut(), &edit)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let log = log.into_inner();
    let after = runtime.block_on(log.flows.verify_audit(None));
    assert_eq!(after.unwrap().hash, untouched.hash);
}

#[test]
fn each_is_found_on_sqlite() {
    let runtime = Runtime::new().unwrap();
    for shape in shapes() {
        let log = runtime.block_on(Log::build(support::sqlite(), &shape));
        run(&runtime, log, 80);
    }
}

#[test]
fn each_is_found_on_postgres() {
    let runtime = Runtime::new().unwrap();
    let shape = &shapes()[3];
    let log = runtime.block_on(async { Log::build(support::postgres().await, shape).await });
    run(&runtime, log, 60);
}

async fn one() -> Log {
    Log::build(support::sqlite(), &shapes()[1]).await
}

/// Everything put back as it was: the events, and the head that was signed then.
#[tokio::test]
async fn earlier_state_put_back_as_a_whole_needs_an_anchor() {
    let mut log = Log::build(support::sqlite(), &shapes()[4]).await;
    let end = log.head().clone();
    let checkpoints = "DELETE FROM audit_marks WHERE kind = 'checkpoint' AND position >";
    let heads = log.heads.clone();
    let (_, before) = heads.split_last().unwrap();
    for old in before {
        let sql = format!(
            "DELETE FROM audit_events WHERE position > {0}; {checkpoints} {0}; {1}",
            old.position,
            replace(&log, old, MarkKind::Head)
        );
        log.raw.run(&sql).await;
        let verified = log.flows.verify_audit(None).await.unwrap();
        assert_eq!(verified.position, old.position);
        let anchor = Some((end.position, end.hash));
        let outcome = log.flows.verify_audit(anchor).await;
        assert!(
            matches!(outcome, Err(VerifyError::Anchor(position)) if position == end.position),
            "{outcome:?}"
        );
        let anchor = Some((old.position, old.hash));
        assert!(log.flows.verify_audit(anchor).await.is_ok());
        log.raw.restore().await;
    }
}

/// A checkpoint that was forgotten gives it away without.
#[tokio::test]
async fn earlier_state_contradicts_a_later_checkpoint() {
    let mut log = Log::build(support::sqlite(), &shapes()[4]).await;
    let last = log.checkpoints.last().unwrap().position;
    let old = log.heads.iter().rev().find(|head| head.position < last);
    let old = old.unwrap().clone();
    let sql = format!(
        "DELETE FROM audit_events WHERE position > {}; {}",
        old.position,
        replace(&log, &old, MarkKind::Head)
    );
    log.raw.run(&sql).await;
    let outcome = log.flows.verify_audit(None).await;
    let first = log
        .checkpoints
        .iter()
        .find(|one| one.position > old.position);
    let expected = Fault::Mark {
        kind: MarkKind::Checkpoint,
        position: first.unwrap().position,
    };
    assert!(
        matches!(&outcome, Err(VerifyError::Tampered(fault)) if *fault == expected),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn emptied_log_needs_an_anchor() {
    let mut log = one().await;
    let end = log.head().clone();
    log.raw
        .run("DELETE FROM audit_events; DELETE FROM audit_marks")
        .await;
    let verified = log.flows.verify_audit(None).await.unwrap();
    assert_eq!((verified.events, verified.position), (0, 0));
    let outcome = log.flows.verify_audit(Some((end.position, end.hash))).await;
    assert!(
        matches!(outcome, Err(VerifyError::Anchor(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn anchors_are_compared_wherever_they_are() {
    let log = Log::build(support::sqlite(), &shapes()[3]).await;
    for sealed in &log.sealed {
        let right = Some((sealed.position, sealed.hash));
        assert!(log.flows.verify_audit(right).await.is_ok());
        let wrong = Some((sealed.position, [1; 32]));
        let outcome = log.flows.verify_audit(wrong).await;
        assert!(
            matches!(outcome, Err(VerifyError::Anchor(position)) if position == sealed.position),
            "{outcome:?}"
        );
    }
    let cut = log.cuts.last().unwrap();
    assert!(
        log.flows
            .verify_audit(Some((cut.position, cut.hash)))
            .await
            .is_ok()
    );
    let outcome = log.flows.verify_audit(Some((cut.position, [1; 32]))).await;
    assert!(
        matches!(outcome, Err(VerifyError::Anchor(_))),
        "{outcome:?}"
    );
    // What was noted of events that were cut off since is of no use any more.
    assert!(log.flows.verify_audit(Some((1, [1; 32]))).await.is_ok());
}

/// A checkpoint only helps those who keep proof elsewhere; without it the chain says the same.
#[tokio::test]
async fn checkpoint_that_is_gone_hides_nothing() {
    let mut log = one().await;
    log.raw
        .run("DELETE FROM audit_marks WHERE kind = 'checkpoint'")
        .await;
    let verified = log.flows.verify_audit(None).await.unwrap();
    assert_eq!(
        (verified.position, verified.checkpoints),
        (log.head().position, 0)
    );
}

/// What no server could ever have stored.
#[tokio::test]
async fn what_cannot_be_read_is_named_by_its_place() {
    for set in [
        "user_id = x'01'",
        "session_id = x''",
        "at = 9223372036854775807",
        "id = x'07'",
    ] {
        let mut log = one().await;
        log.raw
            .run(&format!("UPDATE audit_events SET {set} WHERE position = 3"))
            .await;
        let outcome = log.flows.verify_audit(None).await;
        let expected = Fault::Unreadable { position: 3 };
        assert!(
            matches!(&outcome, Err(VerifyError::Tampered(fault)) if *fault == expected),
            "{set}: {outcome:?}"
        );
    }
    let mut log = Log::build(support::postgres().await, &shapes()[1]).await;
    log.raw
        .run("UPDATE audit_events SET at = 'infinity' WHERE position = 3")
        .await;
    let outcome = log.flows.verify_audit(None).await;
    assert!(outcome.is_err(), "{outcome:?}");
}
