//! What the store does while its database is locked, read-only, or drops its connections: it waits
//! for a bounded time, says so by type, consumes nothing, and is itself again at once afterwards.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_domain::refresh_token::Presented;
use countersign_store::contract::kit::{self, act, at, until};
use countersign_store::{
    Actor, Announcements, Created, NewUser, RefreshOutcome, Sessions, Store, StoreError, Users,
};
use countersign_store_sql::SqlStore;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use support::Fresh;

async fn migrated(fresh: &Fresh) -> SqlStore {
    let store = fresh.connect().await;
    store.migrate().await.unwrap();
    store
}

async fn postgres(fresh: &Fresh) -> PgConnection {
    PgConnection::connect(&fresh.url()).await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: impl Into<String>) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(connection);
    done.await.unwrap();
}

fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
}

async fn can_create(store: &SqlStore, new: &NewUser) {
    let created = store
        .create_user(new, &act(Actor::Trusted, at(0), until(at(0))))
        .await
        .unwrap();
    assert!(matches!(created, Created::Created(_)));
}

/// Ends every connection to the database but `connection`, as a restart of the server does.
async fn end_connections(connection: &mut PgConnection) {
    execute(
        connection,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await;
}

/// The same, and waits until they are gone. For a store at rest, since a busy one makes new ones.
async fn end_connections_at_rest(connection: &mut PgConnection) {
    end_connections(connection).await;
    let left = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while !sqlx::query(left)
        .fetch_all(&mut *connection)
        .await
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn sqlite_locked_by_another_process() {
    let fresh = support::sqlite();
    let store = migrated(&fresh).await;
    let url = format!("sqlite://{}", fresh.file().display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let new = kit::new_user(at(0));
    is_unavailable(
        store
            .create_user(&new, &act(Actor::Trusted, at(0), until(at(0))))
            .await,
    );
    assert_eq!(store.user(new.id).await.unwrap(), None, "reads go on");
    held.rollback().await.unwrap();
    can_create(&store, &new).await;
}

#[tokio::test]
async fn postgres_table_locked_by_another_process() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let mut other = postgres(&fresh).await;
    execute(&mut other, "BEGIN; LOCK TABLE users IN SHARE MODE").await;
    let new = kit::new_user(at(0));
    is_unavailable(
        store
            .create_user(&new, &act(Actor::Trusted, at(0), until(at(0))))
            .await,
    );
    assert_eq!(store.user(new.id).await.unwrap(), None, "reads go on");
    execute(&mut other, "ROLLBACK").await;
    can_create(&store, &new).await;
}

#[tokio::test]
async fn postgres_that_takes_no_writes_consumes_no_token() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let user = kit::user(&store).await;
    let session = kit::open(&store, user.id, at(0)).await;
    let presented = Presented {
        session: session.id,
        generation: 0,
    };
    let doing = act(Actor::Trusted, at(1), until(at(1)));
    let refresh = || store.refresh(presented, &kit::POLICY, &doing);

    let mut other = postgres(&fresh).await;
    let url = fresh.url();
    let name = url.rsplit('/').next().unwrap().trim_end_matches('?');
    let read_only = format!("ALTER DATABASE {name} SET default_transaction_read_only");
    execute(&mut other, format!("{read_only} = on")).await;
    end_connections_at_rest(&mut other).await;

    assert_eq!(store.user(user.id).await.unwrap().unwrap().id, user.id);
    is_unavailable(refresh().await);
    let again = kit::new_session(user.id, at(1));
    is_unavailable(
        store
            .open_session(
                &again,
                &kit::proof(1),
                &act(Actor::Trusted, at(1), kit::until(at(1))),
            )
            .await,
    );

    execute(&mut other, "SET default_transaction_read_only = off").await;
    execute(&mut other, format!("{read_only} = off")).await;
    end_connections_at_rest(&mut other).await;
    let outcome = loop {
        // The very first write may meet the end of its connection.
        match refresh().await {
            Err(StoreError::Unavailable(_)) => {}
            other => break other.unwrap(),
        }
    };
    let RefreshOutcome::Refreshed(refreshed) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(refreshed.grant.state.generation, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_transactions_survive_the_end_of_all_connections() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let mut other = postgres(&fresh).await;
    let user = kit::user(&store).await;
    for round in 0..5 {
        let read_all = async || {
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let store = store.clone();
                    tokio::spawn(async move {
                        store.announcements_after(0, at(0)).await.unwrap();
                        store.ping().await.unwrap();
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        // Fills the pool, so that many connections die.
        read_all().await;
        end_connections_at_rest(&mut other).await;
        if round % 2 == 0 {
            read_all().await;
        }
        kit::open(&store, user.id, at(0)).await;
        can_create(&store, &kit::new_user(at(0))).await;
    }
}

/// The processes of the server that the store's connections have.
async fn backends(connection: &mut PgConnection) -> BTreeSet<i32> {
    let others = "SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let rows = sqlx::query_scalar(others).fetch_all(connection).await;
    rows.unwrap().into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_hang_up_cost_no_connections() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let mut other = postgres(&fresh).await;
    let user = kit::user(&store).await;
    let call = |number: usize| {
        let store = store.clone();
        tokio::spawn(async move {
            match number % 2 {
                0 => drop(store.ping().await),
                _ => drop(kit::open(&store, user.id, at(0)).await),
            }
        })
    };
    let all: Vec<_> = (0..40).map(call).collect();
    for task in all {
        task.await.unwrap();
    }
    let before = backends(&mut other).await;
    for number in 0..400 {
        let task = call(number);
        // Blocks this thread only: the calls go on, and are cut off at many places.
        std::thread::sleep(Duration::from_micros(number as u64 * 7 % 900));
        task.abort();
    }
    // What they had begun ends by itself; then the same connections are there.
    for number in 0..40 {
        call(number).await.unwrap();
    }
    let after = backends(&mut other).await;
    assert!(before.is_subset(&after), "{before:?} {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_during_the_end_of_connections_fail_by_type_and_never_half() {
    let fresh = support::postgres().await;
    let store = migrated(&fresh).await;
    let mut other = postgres(&fresh).await;
    let user = kit::user(&store).await;
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut opened = Vec::new();
                for _ in 0..40 {
                    let new = kit::new_session(user.id, at(0));
                    match store
                        .open_session(
                            &new,
                            &kit::proof(1),
                            &act(Actor::Trusted, at(0), kit::until(at(0))),
                        )
                        .await
                    {
                        Ok(_) => opened.push(new.id),
                        Err(StoreError::Unavailable(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                opened
            })
        })
        .collect();
    for _ in 0..10 {
        end_connections(&mut other).await;
    }
    let mut acknowledged = 0;
    for worker in workers {
        for id in worker.await.unwrap() {
            acknowledged += 1;
            assert!(store.session(id).await.unwrap().is_some());
        }
    }
    assert!(acknowledged > 0);
}
