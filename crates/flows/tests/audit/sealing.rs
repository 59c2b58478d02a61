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
    let log = log().await;
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

/// A forged event that waits gets its place, so that it is there to be found.
#[tokio::test]
async fn a_foreign_event_is_found_before_and_after_it_has_its_place() {
    let log = log().await;
    let before = log.head().position;
    let foreign = draft(100);
    log.store
        .append_events(&[foreign.clone()], &ink(8))
        .await
        .unwrap();
    let id = foreign.id;
    let expect = async |expected: Fault| {
        let outcome = log.flows.verify_audit(None).await;
        assert!(
            matches!(&outcome, Err(VerifyError::Tampered(fault)) if *fault == expected),
            "{outcome:?}"
        );
    };
    expect(Fault::Foreign { id }).await;
    log.flows.seal_audit().await.unwrap();
    let position = before + 1;
    expect(Fault::Changed { position, id }).await;
}

#[tokio::test]
async fn one_instance_at_a_time() {
    let log = log().await;
    let other = log.another().await;
    append(&log, 100..110).await;
    assert_eq!(log.flows.seal_audit().await.unwrap(), 10);
    append(&log, 110..120).await;
    assert_eq!(other.seal_audit().await.unwrap(), 0);
    assert_eq!(log.flows.seal_audit().await.unwrap(), 10);
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
