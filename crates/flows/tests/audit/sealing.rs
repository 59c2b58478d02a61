//! Who gives events their places, and from what they go on.

use std::sync::Arc;

use countersign_domain::audit::{Fault, MarkKind};
use countersign_flows::VerifyError;
use countersign_store::Audit;

use crate::edit::replace;
use crate::log::{Log, Shape, draft, ink};
use crate::support;

async fn log() -> Log {
    let shape = Shape {
        batches: vec![4, 1],
        checkpoints: vec![],
        cuts: vec![],
        waiting: 0,
    };
    Log::build(support::sqlite(), &shape).await
}

async fn append(log: &Log, events: std::ops::Range<u64>) {
    let drafts: Vec<_> = events.map(draft).collect();
    log.store.append_events(&drafts, &log.ink).await.unwrap();
}

#[tokio::test]
async fn events_get_their_places() {
    let log = log().await;
    let before = log.head().position;
    append(&log, 100..107).await;
    assert_eq!(log.flows.verify_audit(None).await.unwrap().unsealed, 7);
    assert_eq!(log.flows.seal_audit().await.unwrap(), 7);
    assert_eq!(log.flows.seal_audit().await.unwrap(), 0);
    let verified = log.flows.verify_audit(None).await.unwrap();
    assert_eq!((verified.position, verified.unsealed), (before + 7, 0));
}

#[tokio::test]
async fn batches_and_checkpoints() {
    let mut log = log().await;
    let before = log.head().position;
    append(&log, 1000..3200).await;
    assert_eq!(log.flows.seal_audit().await.unwrap(), 2200);
    let verified = log.flows.verify_audit(None).await.unwrap();
    assert_eq!(
        (verified.position, verified.checkpoints),
        (before + 2200, 2)
    );
    let marks = log.store.checkpoints(0, 10).await.unwrap();
    let positions: Vec<_> = marks.iter().map(|mark| mark.position / 1000).collect();
    assert_eq!(positions, [1, 2]);
    // So many without one there never are.
    log.raw
        .run("DELETE FROM audit_marks WHERE kind = 'checkpoint'")
        .await;
    let outcome = log.flows.verify_audit(None).await;
    let missing = matches!(
        &outcome,
        Err(VerifyError::Tampered(Fault::Mark {
            kind: MarkKind::Checkpoint,
            ..
        }))
    );
    assert!(missing, "{outcome:?}");
}

/// Otherwise whoever cuts off the tail would have the server itself sign that nothing had been there.
#[tokio::test]
async fn nothing_goes_on_from_a_forged_end() {
    let mut log = log().await;
    let old = log.heads[0].clone();
    append(&log, 100..103).await;
    let checkpoint = log.mark(MarkKind::Checkpoint, old.position, old.hash);
    let forged = [
        ink(8).mark(MarkKind::Head, old.position, old.hash, old.at),
        countersign_domain::audit::Mark {
            kind: MarkKind::Head,
            ..checkpoint
        },
    ];
    for head in forged {
        let sql = format!(
            "DELETE FROM audit_events WHERE position > {}; {}",
            old.position,
            replace(&log, &head, MarkKind::Head)
        );
        log.raw.run(&sql).await;
        let refused = log.flows.seal_audit().await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(log.store.chain().await.unwrap().head, Some(head.clone()));
        assert_eq!(log.store.unsealed_events(None, 10).await.unwrap().len(), 3);
        let outcome = log.flows.verify_audit(None).await;
        let expected = Fault::Mark {
            kind: MarkKind::Head,
            position: head.position,
        };
        assert!(
            matches!(&outcome, Err(VerifyError::Tampered(fault)) if *fault == expected),
            "{outcome:?}"
        );
    }
}

/// What somebody else put there gets no place among ours, and keeps none of ours from one.
#[tokio::test]
async fn a_foreign_event_stays_outside() {
    let log = log().await;
    let before = log.head().position;
    let foreign = draft(100);
    log.store
        .append_events(std::slice::from_ref(&foreign), &ink(8))
        .await
        .unwrap();
    append(&log, 101..104).await;
    let id = foreign.id;
    for sealed in [3, 0] {
        assert_eq!(log.flows.seal_audit().await.unwrap(), sealed);
        let outcome = log.flows.verify_audit(None).await;
        assert!(
            matches!(&outcome, Err(VerifyError::Tampered(fault)) if *fault == Fault::Foreign { id }),
            "{outcome:?}"
        );
        let head = log.store.chain().await.unwrap().head.unwrap();
        assert_eq!(head.position, before + 3);
    }
}

/// Going on from an earlier end would make one chain of two.
#[tokio::test]
async fn nothing_goes_on_from_an_earlier_end_while_the_process_lasts() {
    let mut log = log().await;
    append(&log, 100..103).await;
    log.flows.seal_audit().await.unwrap();
    let old = log.heads.last().unwrap().clone();
    let sql = format!(
        "DELETE FROM audit_events WHERE position > {}; {}",
        old.position,
        replace(&log, &old, MarkKind::Head)
    );
    log.raw.run(&sql).await;
    append(&log, 103..106).await;
    assert!(log.flows.seal_audit().await.is_err());
}

/// Nor with rows, and without an end.
#[tokio::test]
async fn nothing_begins_anew_while_something_is_left() {
    for left in [
        "DELETE FROM audit_marks",
        "DELETE FROM audit_events WHERE position IS NOT NULL",
    ] {
        let mut log = log().await;
        log.raw.run(left).await;
        append(&log, 100..103).await;
        assert!(log.flows.seal_audit().await.is_err(), "{left}");
        assert!(log.flows.verify_audit(None).await.is_err(), "{left}");
    }
}

#[tokio::test]
async fn one_instance_at_a_time() {
    let log = log().await;
    let other = log.another().await;
    append(&log, 1980..1990).await;
    assert_eq!(log.flows.seal_audit().await.unwrap(), 10);
    append(&log, 1990..2000).await;
    assert_eq!(other.seal_audit().await.unwrap(), 0);
    assert_eq!(log.flows.seal_audit().await.unwrap(), 10);
}

/// Otherwise nobody would give places while the one who holds the lease cannot.
#[tokio::test]
async fn what_has_waited_long_is_sealed_by_anybody() {
    let log = log().await;
    let other = log.another().await;
    append(&log, 1990..1991).await;
    assert_eq!(log.flows.seal_audit().await.unwrap(), 1);
    append(&log, 1960..1969).await;
    assert_eq!(other.seal_audit().await.unwrap(), 9);
    assert!(log.flows.verify_audit(None).await.is_ok());
}

/// A log that grows while it is walked through is not taken for one that was tampered with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walking_along_a_log_that_grows() {
    let log = Arc::new(log().await);
    let writer = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for n in 0..60 {
                append(&log, 100 + n * 5..105 + n * 5).await;
                log.flows.seal_audit().await.unwrap();
            }
        }
    });
    let mut last = 0;
    while !writer.is_finished() {
        let verified = log.flows.verify_audit(None).await.unwrap();
        assert!(verified.position >= last);
        last = verified.position;
    }
    writer.await.unwrap();
    let verified = log.flows.verify_audit(None).await.unwrap();
    assert_eq!(verified.position, log.head().position + 300);
}
