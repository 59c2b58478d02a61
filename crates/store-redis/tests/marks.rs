//! Instances that lack the database but not Redis, and what nobody was there to hear.

#[path = "support/server.rs"]
mod server;
mod support;

use std::time::Duration;

use countersign_domain::limits::Rule;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::EndReason;
use countersign_domain::{SessionId, UserId};
use countersign_store::contract::kit::{self, act, at, until};
use countersign_store::{
    Actor, Announcements, Authority, InstallKey, Keys, LimitKey, Limits, RefreshOutcome, Sessions,
    StoreError, UserChange, Users,
};
use countersign_store_redis::RedisStore;
use countersign_store_sql::SqlStore;
use jiff::SignedDuration;
use server::Server;
use sqlx::Connection as _;
use support::{Fresh, instance, settings};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

async fn becomes(store: &RedisStore, trusted: bool) {
    let began = Instant::now();
    while store.is_trusted() != trusted {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "Redis did not become trusted={trusted}"
        );
        sleep(Duration::from_millis(20)).await;
    }
}

async fn one(server: &Server) -> (RedisStore, Fresh) {
    let fresh = support::sqlite();
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    (store, fresh)
}

/// One more instance, and the way from it to the database, to be closed.
async fn one_more(server: &Server, fresh: &Fresh) -> (RedisStore, SqlStore) {
    let way: SqlStore = fresh.connect().await;
    let store = RedisStore::open(way.clone(), settings(&server.url())).await;
    let store = store.unwrap();
    becomes(&store, true).await;
    (store, way)
}

async fn sign_in(store: &RedisStore) -> (UserId, SessionId) {
    let user = kit::user(store).await;
    (user.id, kit::open(store, user.id, at(0)).await.id)
}

async fn epoch(beneath: &SqlStore) -> u64 {
    beneath.copy_epoch(Uuid::nil()).await.unwrap().number
}

async fn refresh(
    store: &RedisStore,
    session: SessionId,
    generation: u32,
    second: i64,
) -> Result<RefreshOutcome, StoreError> {
    let presented = Presented {
        session,
        generation,
    };
    let doing = act(Actor::Trusted, at(second), until(at(second)));
    store.refresh(presented, &kit::POLICY, &doing).await
}

#[tokio::test]
async fn an_emergency_begins_an_epoch_and_no_more() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    let (_, session) = sign_in(&store).await;
    kit::refreshed(&store, session, 0, at(10)).await;
    let beneath = fresh.connect().await;
    let before = epoch(&beneath).await;
    let doing = act(Actor::Trusted, at(30), until(at(30)));
    let installed = store.install_key(None, InstallKey::Emergency, &doing);
    installed.await.unwrap();
    let mut last = before;
    for _ in 0..5 {
        becomes(&store, true).await;
        store.announcements_after(0, at(31)).await.unwrap();
        last = epoch(&beneath).await;
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(last, epoch(&beneath).await, "it goes on");
    assert!(before < last && last <= before + 4, "{before} {last}");
    let outcome = kit::refresh(&store, session, 1, at(40)).await;
    assert!(
        matches!(outcome, RefreshOutcome::Dead { .. }),
        "{outcome:?}"
    );
}

/// An operator's command, on a machine without Redis, ends sessions while no server runs; the next one starts when that
/// is not announced any more.
#[tokio::test]
async fn what_ended_while_nobody_followed_stays_ended() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    let (_, ended) = sign_in(&store).await;
    let (deleted, of_deleted) = sign_in(&store).await;
    for session in [ended, of_deleted] {
        kit::refreshed(&store, session, 0, at(10)).await;
    }
    store.announcements_after(0, at(11)).await.unwrap();
    let marked = server.cli(&["keys", "cs:*:followed"]);
    assert!(marked.contains(":followed"), "{marked}");
    let lasts = server.cli(&["pttl", marked.trim()]);
    let lasts: i64 = lasts.trim().parse().unwrap();
    assert!((1_700_000..=1_800_000).contains(&lasts), "{lasts}");
    store.close(Duration::from_secs(5)).await;
    drop(store);

    let beneath = fresh.connect().await;
    let doing = act(Actor::Trusted, at(20), until(at(20)));
    let end = beneath.end_session(ended, None, EndReason::Operator, &doing);
    end.await.unwrap();
    beneath.delete_user(deleted, None, &doing).await.unwrap();

    // Half an hour later.
    server.cli(&["del", marked.trim()]);
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    let later = 20 + 16 * 60;
    let told = store.announcements_after(0, at(later)).await.unwrap();
    assert_eq!(told, [], "they are not announced any more");
    for session in [ended, of_deleted] {
        let outcome = refresh(&store, session, 1, later).await.unwrap();
        assert!(
            !matches!(outcome, RefreshOutcome::Refreshed(_)),
            "{outcome:?}"
        );
    }
}

/// The half hour is not over: what ended is announced, and is told to Redis before the first refresh.
#[tokio::test]
async fn a_restart_begins_no_epoch() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    store.announcements_after(0, at(1)).await.unwrap();
    let beneath = fresh.connect().await;
    let before = epoch(&beneath).await;
    store.close(Duration::from_secs(5)).await;
    drop(store);
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    assert_eq!(epoch(&beneath).await, before);
}

/// Somebody who cannot write acknowledged a rotation: nobody takes the token before for one whose answer was lost.
#[tokio::test]
async fn an_instance_without_the_database_keeps_used_tokens_used() {
    let server = Server::start(&[]).await;
    let (with, fresh) = one(&server).await;
    let (without, way) = one_more(&server, &fresh).await;
    let (_, session) = sign_in(&with).await;
    way.close().await;
    kit::refreshed(&without, session, 0, at(60)).await;
    sleep(Duration::from_millis(600)).await;
    // Long after the grace period.
    let outcome = refresh(&with, session, 0, 600).await;
    assert!(
        matches!(outcome, Err(StoreError::Unavailable(_))),
        "{outcome:?}"
    );
    // The client goes on, there and here.
    kit::refreshed(&without, session, 1, at(610)).await;
    kit::refreshed(&with, session, 2, at(620)).await;
}

/// And Redis, which is full, throws out the session, and most of the marks: what the database holds is old.
#[tokio::test]
async fn a_session_that_redis_lost_waits_for_those_who_are_behind() {
    let server = Server::start(&[]).await;
    let (with, fresh) = one(&server).await;
    let (without, way) = one_more(&server, &fresh).await;
    let (_, session) = sign_in(&with).await;
    way.close().await;
    kit::refreshed(&without, session, 0, at(60)).await;
    kit::refreshed(&without, session, 1, at(61)).await;
    sleep(Duration::from_millis(600)).await;
    let lost = server.cli(&["--scan", "--pattern", "cs:*"]);
    let lost = lost.lines().filter(|key| !key.ends_with(":behind:5"));
    let lost: Vec<_> = std::iter::once("del").chain(lost).collect();
    assert!(lost.len() > 8, "{lost:?}");
    server.cli(&lost);
    for generation in [0, 1, 2] {
        let outcome = refresh(&with, session, generation, 62).await;
        assert!(
            matches!(outcome, Err(StoreError::Unavailable(_))),
            "{generation}: {outcome:?}"
        );
    }
    let beneath = fresh.connect().await;
    let kept = beneath.session_with_user(session).await.unwrap().unwrap();
    assert_eq!(kept.0.state.generation, 0, "nothing was consumed");
}

/// It is over when the last of them has written; one that died in the meantime is waited for ten seconds at most.
#[tokio::test]
async fn whoever_has_written_is_waited_for_no_more() {
    let server = Server::start(&[]).await;
    let fresh = support::postgres().await;
    let store = instance(&fresh, settings(&server.url())).await;
    becomes(&store, true).await;
    let (_, session) = sign_in(&store).await;
    let mut locked = sqlx::PgConnection::connect(&fresh.url()).await.unwrap();
    for lock in ["BEGIN", "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"] {
        sqlx::query(lock).execute(&mut locked).await.unwrap();
    }
    kit::refreshed(&store, session, 0, at(60)).await;
    let marks = || server.cli(&["--scan", "--pattern", "cs:*:behind:*"]);
    let reach = async |number: usize| {
        let began = Instant::now();
        while marks().lines().count() != number {
            assert!(began.elapsed() < Duration::from_secs(8), "{}", marks());
            sleep(Duration::from_millis(50)).await;
        }
    };
    reach(8).await;
    let lasts = server.cli(&["pttl", marks().lines().next().unwrap()]);
    let lasts: i64 = lasts.trim().parse().unwrap();
    assert!((5_000..=10_000).contains(&lasts), "{lasts}");
    sqlx::query("ROLLBACK").execute(&mut locked).await.unwrap();
    reach(0).await;
}

#[tokio::test]
async fn an_instance_without_the_database_leaves_an_epoch_that_is_over() {
    let server = Server::start(&[]).await;
    let (with, fresh) = one(&server).await;
    let (without, way) = one_more(&server, &fresh).await;
    let (_, session) = sign_in(&with).await;
    kit::refreshed(&without, session, 0, at(60)).await;
    sleep(Duration::from_millis(300)).await;
    way.close().await;
    let beneath = fresh.connect().await;
    let now = beneath.copy_epoch(Uuid::nil()).await.unwrap();
    beneath.next_copy_epoch(now, now.number + 2).await.unwrap();
    becomes(&without, false).await;
    becomes(&with, true).await;
    kit::logout(&with, session, at(70)).await;
    sleep(Duration::from_millis(600)).await;
    assert!(!without.is_trusted(), "it must not go back");
    let outcome = refresh(&without, session, 1, 120).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

/// The same where Redis is taken out of use by somebody who cannot reach it, and others can reach both.
#[tokio::test]
async fn an_instance_without_the_database_hears_that_redis_is_out_of_use() {
    let server = Server::start(&[]).await;
    let (with, fresh) = one(&server).await;
    let (without, way) = one_more(&server, &fresh).await;
    let (_, session) = sign_in(&with).await;
    kit::refreshed(&without, session, 0, at(60)).await;
    way.close().await;
    let beneath = fresh.connect().await;
    let now = beneath.copy_epoch(Uuid::nil()).await.unwrap();
    beneath.next_copy_epoch(now, now.number + 1).await.unwrap();
    becomes(&with, false).await;
    becomes(&without, false).await;
    let outcome = refresh(&without, session, 1, 120).await;
    assert!(outcome.is_err(), "{outcome:?}");
}

/// Redis fails for a moment while the database is away: refreshes go on as they did.
#[tokio::test]
async fn an_error_of_redis_is_got_over_without_the_database() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    let (without, way) = one_more(&server, &fresh).await;
    let (_, session) = sign_in(&store).await;
    way.close().await;
    kit::refreshed(&without, session, 0, at(60)).await;
    server.cli(&["client", "kill", "type", "normal"]);
    let began = Instant::now();
    let outcome = loop {
        match refresh(&without, session, 1, 120).await {
            Err(_) if began.elapsed() < Duration::from_secs(15) => {
                sleep(Duration::from_millis(100)).await;
            }
            other => break other,
        }
    };
    assert!(
        matches!(outcome, Ok(RefreshOutcome::Refreshed(_))),
        "{outcome:?}"
    );
}

/// A change of roles by somebody who tells Redis: the next token has the new ones.
#[tokio::test]
async fn roles_are_told_before_tokens_from_before_are_refused() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    let (user, session) = sign_in(&store).await;
    let set = |roles: &[&str]| UserChange {
        roles: Some(roles.iter().map(|&role| role.to_owned()).collect()),
        ..UserChange::default()
    };
    let doing = |second| act(Actor::Trusted, at(second), until(at(second)));
    let admin = set(&["admin"]);
    store.change_user(user, &admin, &doing(5)).await.unwrap();
    let grant = kit::refreshed(&store, session, 0, at(10)).await.grant;
    assert_eq!(grant.roles, ["admin"]);
    // As a command does: it opens the same, and is done.
    let command = instance(&fresh, settings(&server.url())).await;
    let none = set(&[]);
    command.change_user(user, &none, &doing(20)).await.unwrap();
    command.outdate_tokens(user, &doing(21)).await.unwrap();
    let grant = kit::refreshed(&store, session, 1, at(22)).await.grant;
    assert_eq!(grant.roles, Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_cannot_be_read_costs_nobody_else() {
    let server = Server::start(&[]).await;
    let (store, fresh) = one(&server).await;
    let (_, session) = sign_in(&store).await;
    let beneath = fresh.connect().await;
    let before = epoch(&beneath).await;
    let keys = server.cli(&["keys", "cs:*"]);
    let is_session = |key: &&str| key.rsplit(':').next().is_some_and(|id| id.len() == 22);
    let key = keys.lines().find(is_session).unwrap().to_owned();
    for (generation, broken) in (0u32..).zip(["Lshort", "L", "F", "Fshort", "?"]) {
        server.cli(&["set", &key, broken]);
        let second = 60 * (1 + i64::from(generation));
        kit::refreshed(&store, session, generation, at(second)).await;
        assert!(store.is_trusted(), "{broken}");
    }
    assert_eq!(epoch(&beneath).await, before);

    let rule = Rule::Window {
        limit: 5,
        window: SignedDuration::from_mins(15),
    };
    let limit = LimitKey([7; 16]);
    store.take(limit, &rule, at(0)).await.unwrap();
    let keys = server.cli(&["keys", "cs:*:l:*"]);
    server.cli(&["set", keys.trim(), "short"]);
    store.take(limit, &rule, at(1)).await.unwrap();
    assert!(store.is_trusted());
}
