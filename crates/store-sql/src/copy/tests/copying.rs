//! That both sides are the same in the end, whatever happens on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_store::{Closed, Store};
use jiff::Timestamp;

use super::data::{Dice, change, fill};
use crate::copy::cell::Record;
use crate::copy::tables::COPIED;
use crate::copy::{Copied, CopyError, Finish, Ids, Reopened, Stage, StoreCopy};
use crate::support::{self, Fresh};
use crate::{SqlStore, Standing};

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

async fn both() -> (Fresh, Fresh, SqlStore, SqlStore) {
    let (sqlite, postgres) = (support::sqlite(), support::postgres().await);
    let (from, to) = (sqlite.connect().await, postgres.connect().await);
    from.migrate().await.unwrap();
    to.migrate().await.unwrap();
    (sqlite, postgres, from, to)
}

async fn copy(from: &SqlStore, to: &SqlStore) -> Result<Copied, CopyError> {
    copy_telling(from, to, &mut |_| {}).await
}

async fn copy_telling(
    from: &SqlStore,
    to: &SqlStore,
    tell: &mut dyn FnMut(Stage),
) -> Result<Copied, CopyError> {
    job(from, to).run(tell).await
}

pub(super) fn job<'a>(from: &'a SqlStore, to: &'a SqlStore) -> StoreCopy<'a> {
    StoreCopy {
        from,
        to,
        from_name: "sqlite:here",
        to_name: "postgres://there",
        ids: Ids {
            copy: support::random(),
            run: support::random(),
        },
        now: &now,
    }
}

/// A run that dies when it tells of something that `last` wants.
async fn killed_at(from: &SqlStore, to: &SqlStore, last: impl Fn(Stage) -> bool) {
    let died = tokio::sync::Notify::new();
    let mut tell = |stage| {
        if last(stage) {
            died.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = died.notified() => {}
        done = copy_telling(from, to, &mut tell) => panic!("it lived: {done:?}"),
    }
}

/// Every row of both sides, compared without any of the copy's own sums.
async fn assert_same(from: &SqlStore, to: &SqlStore) {
    for table in &COPIED {
        let mut sides = Vec::new();
        for store in [from, to] {
            let rows = store.db.read(table.all, vec![]).await.unwrap();
            let rows = rows.iter().map(|row| Record::read(table, row).unwrap());
            let mut rows: Vec<String> = rows.map(|row| format!("{row:?}")).collect();
            rows.sort();
            sides.push(rows);
        }
        assert_eq!(sides[0].len(), sides[1].len(), "{}", table.name);
        assert_eq!(sides[0], sides[1], "{}", table.name);
        assert!(!sides[0].is_empty(), "{} tests nothing", table.name);
    }
}

#[tokio::test]
async fn everything_comes_over_and_the_source_takes_no_more() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 3000).await;
    let copied = copy(&from, &to).await.unwrap();
    assert!(matches!(copied.finish, Finish::Moved { .. }), "{copied:?}");
    assert_same(&from, &to).await;
    for table in &copied.tables {
        assert_eq!(table.source_rows, table.target_rows);
        assert_eq!(table.source_checksum, table.target_checksum);
        assert_eq!(table.source_checksum.len(), 64);
    }
    let moved = Standing::Moved {
        to: "postgres://there".to_owned(),
    };
    assert_eq!(from.standing(now()).await.unwrap(), moved);
    assert_eq!(from.closed(), Some(Closed::Moved));
    assert_eq!(to.standing(now()).await.unwrap(), Standing::Open);
    for table in &COPIED {
        let refused = from.db.write(table.clear, vec![]).await;
        let refused = refused.err().map(countersign_store::StoreError::from);
        assert!(
            matches!(refused, Some(countersign_store::StoreError::Unavailable(_))),
            "{}: {refused:?}",
            table.name
        );
    }
    let again = copy(&from, &to).await.unwrap();
    assert_eq!(again.finish, Finish::Already);
    assert_eq!(again.tables, copied.tables);
}

#[tokio::test]
async fn announcements_are_numbered_on() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    let used = "SELECT seq FROM sqlite_sequence WHERE name = 'revocations'";
    let last: i64 = from.db.read(used, vec![]).await.unwrap()[0]
        .columns()
        .take()
        .unwrap();
    // Numbers of rows that are gone must not come again either.
    from.db
        .write("DELETE FROM revocations WHERE seq > 3", vec![])
        .await
        .unwrap();
    copy(&from, &to).await.unwrap();
    let announce = "INSERT INTO revocations (kind, created_at, expires_at) \
        VALUES ('keys_changed', now(), now()) RETURNING seq";
    let next: i64 = to.db.write(announce, vec![]).await.unwrap()[0]
        .columns()
        .take()
        .unwrap();
    assert_eq!(next, last + 1);
}

/// A run that is dropped leaves its transactions to the engines, as one that is killed does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_are_killed_at_any_moment_are_gone_on_with_while_everything_changes() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 6000).await;
    let server = _a.connect().await;
    let (stop, made) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&made));
    let writer = tokio::spawn(async move {
        let mut dice = Dice::new(7);
        while !stopped.load(Ordering::Relaxed) {
            if change(&server, &mut dice).await {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let (mut dice, mut killed, mut stages) = (Dice::new(11), 0, Vec::new());
    let copied = loop {
        let longest = match killed < 25 {
            true => Duration::from_millis(1 + dice.throw(900)),
            false => Duration::from_secs(600),
        };
        // Connections of its own, as a process has.
        let (from, to) = (_a.connect().await, _b.connect().await);
        let mut tell = |stage| stages.push(stage);
        let run = tokio::time::timeout(longest, copy_telling(&from, &to, &mut tell)).await;
        match run {
            Ok(done) => break done.unwrap(),
            Err(_) => killed += 1,
        }
        assert!(killed <= 25);
        let standing = to.standing(now()).await.unwrap();
        let begun = matches!(standing, Standing::Unfinished { .. });
        assert!(begun || stages.is_empty(), "{standing:?} {stages:?}");
    };
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    assert_same(&from, &to).await;
    assert!(made.load(Ordering::Relaxed) > 500, "there was no load");
    assert!(matches!(copied.finish, Finish::Moved { .. }));
    assert!(stages.contains(&Stage::Resumed) && stages.contains(&Stage::Locked));
    assert!(!stages.contains(&Stage::BegunAnew), "{stages:?}");
}

#[tokio::test]
async fn a_run_that_dies_between_the_two_commits_is_finished() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    let copied = copy(&from, &to).await.unwrap();
    to.db
        .write("UPDATE moves SET state = 'ready'", vec![])
        .await
        .unwrap();
    let unfinished = to.standing(now()).await.unwrap();
    assert!(matches!(unfinished, Standing::Unfinished { .. }));
    let finished = copy(&from, &to).await.unwrap();
    assert_eq!(finished.finish, Finish::Finished);
    assert_eq!(finished.tables, copied.tables);
    assert_eq!(to.standing(now()).await.unwrap(), Standing::Open);
}

/// Unique keys that change owners would be in each other's way.
#[tokio::test]
async fn addresses_that_were_exchanged_meanwhile_come_over() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 500).await;
    let users = |stage| matches!(stage, Stage::Table { name: "users", .. });
    killed_at(&from, &to, users).await;
    for sql in [
        "UPDATE users SET email_key = 'x' WHERE id = (SELECT max(id) FROM users)",
        "UPDATE users SET email_key = 'y' WHERE id = (SELECT min(id) FROM users)",
    ] {
        from.db.write(sql, vec![]).await.unwrap();
    }
    let again = _a.connect().await;
    killed_at(&again, &to, |stage| stage == Stage::Comparing).await;
    for sql in [
        "UPDATE users SET email_key = '' WHERE email_key = 'x'",
        "UPDATE users SET email_key = 'x' WHERE email_key = 'y'",
        "UPDATE users SET email_key = 'y' WHERE email_key = ''",
    ] {
        from.db.write(sql, vec![]).await.unwrap();
    }
    copy(&from, &to).await.unwrap();
    assert_same(&from, &to).await;
}

/// Whoever copies may die while nothing is acknowledged.
#[tokio::test]
async fn a_source_that_was_being_closed_is_served_again_after_a_minute() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    killed_at(&from, &to, |stage| stage == Stage::Locked).await;
    let later = |seconds| now() + Duration::from_secs(seconds);
    assert_eq!(from.standing(later(59)).await.unwrap(), Standing::Closing);
    assert_eq!(from.closed(), Some(Closed::Moving));
    assert_eq!(from.standing(later(60)).await.unwrap(), Standing::Open);
    assert!(change(&from, &mut Dice::new(3)).await);
    let mut stages = Vec::new();
    copy_telling(&from, &to, &mut |stage| stages.push(stage))
        .await
        .unwrap();
    assert_eq!(stages[0], Stage::Resumed);
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn somebody_who_writes_to_the_target_is_found_and_the_next_run_begins_anew() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 500).await;
    killed_at(&from, &to, |stage| stage == Stage::Comparing).await;
    let sql = "UPDATE sessions SET generation = generation + 1 WHERE id IN (SELECT id FROM sessions LIMIT 1) RETURNING id";
    assert_eq!(to.db.write(sql, vec![]).await.unwrap().len(), 1);
    let error = copy_telling(&from, &to, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, CopyError::Differs(_)), "{error}");
    let line = error.to_string();
    assert!(
        line.contains("`sessions` differs") && !line.contains('\n'),
        "{line}"
    );
    assert_eq!(from.standing(now()).await.unwrap(), Standing::Open);
    assert!(matches!(
        to.standing(now()).await.unwrap(),
        Standing::Unfinished { .. }
    ));
    let mut stages = Vec::new();
    copy_telling(&from, &to, &mut |stage| stages.push(stage))
        .await
        .unwrap();
    assert_eq!(stages[0], Stage::BegunAnew);
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn changes_that_were_not_noted_are_found() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    let mut dropped = false;
    let untriggered = _a.connect().await;
    // As a migration does that makes a table anew.
    let drop = async {
        while untriggered
            .db
            .write("DROP TRIGGER copy_sessions_UPDATE", vec![])
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        dropped = true;
    };
    let mut tell = |_| {};
    let (copied, ()) = tokio::join!(copy_telling(&from, &to, &mut tell), drop);
    assert!(matches!(copied, Err(CopyError::Unwatched)), "{copied:?}");
    assert_eq!(from.standing(now()).await.unwrap(), Standing::Open);
    let mut stages = Vec::new();
    copy_telling(&from, &to, &mut |stage| stages.push(stage))
        .await
        .unwrap();
    assert_eq!(stages[0], Stage::BegunAnew);
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn the_younger_of_two_runs_goes_on() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 4000).await;
    let (elder_from, elder_to) = (_a.connect().await, _b.connect().await);
    let mut tell = |_| {};
    let elder = copy_telling(&elder_from, &elder_to, &mut tell);
    let younger = async {
        while to.standing(now()).await.unwrap() == Standing::Open {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        copy(&from, &to).await
    };
    let (elder, younger) = tokio::join!(elder, younger);
    assert!(matches!(elder, Err(CopyError::Overtaken)), "{elder:?}");
    younger.unwrap();
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn a_move_is_taken_back_and_made_again() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    assert_eq!(
        job(&from, &to).reopen(false).await.unwrap(),
        Reopened::Nothing
    );
    copy(&from, &to).await.unwrap();
    // The target is used.
    let event = "INSERT INTO audit_events (id, at, kind, outcome, by, details, personal, mac) \
        VALUES (gen_random_uuid(), now(), 'server.started', 'success', 'system', '{}', '', '')";
    to.db.write(event, vec![]).await.unwrap();
    let refused = job(&from, &to).reopen(false).await.unwrap_err();
    assert!(refused.to_string().contains("1 events"), "{refused}");
    assert!(matches!(
        from.standing(now()).await.unwrap(),
        Standing::Moved { .. }
    ));
    let taken_back = job(&from, &to).reopen(true).await.unwrap();
    assert_eq!(taken_back, Reopened::Move { lost: 1 });
    assert_eq!(from.standing(now()).await.unwrap(), Standing::Open);
    let target = to.standing(now()).await.unwrap();
    assert!(matches!(target, Standing::Unfinished { .. }), "{target:?}");
    assert!(
        change(&from, &mut Dice::new(5)).await,
        "it takes writes again"
    );
    let mut stages = Vec::new();
    copy_telling(&from, &to, &mut |stage| stages.push(stage))
        .await
        .unwrap();
    assert_eq!(stages[0], Stage::BegunAnew);
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn a_copy_is_called_off() {
    let (_a, _b, from, to) = both().await;
    fill(&from, 300).await;
    killed_at(&from, &to, |stage| stage == Stage::Comparing).await;
    let back = from.reopen(support::random()).await.unwrap();
    assert_eq!(back, Reopened::Copy);
    let left = "SELECT name FROM sqlite_schema WHERE name LIKE 'copy%' OR name LIKE 'moved%'";
    assert_eq!(from.db.read(left, vec![]).await.unwrap().len(), 0);
    copy(&from, &to).await.unwrap();
    assert_same(&from, &to).await;
}
