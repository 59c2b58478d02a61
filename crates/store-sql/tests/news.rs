//! News between stores on PostgreSQL, by `NOTIFY`: at once, after a lost connection again, and in few looks.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use countersign_domain::SessionId;
use countersign_store::contract::kit::{self, at};
use countersign_store::{Announcements, Subject};
use countersign_store_sql::SqlStore;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use sqlx::{Connection, PgConnection};
use support::Fresh;
use tokio::time::{Instant, timeout};

/// Far less than an instance that only follows would need.
const SOON: Duration = Duration::from_millis(250);

async fn two() -> (SqlStore, SqlStore, Fresh) {
    let fresh = support::postgres().await;
    let a = fresh.connect().await;
    a.migrate().await.unwrap();
    let b = fresh.connect().await;
    (a, b, fresh)
}

fn figures(store: &SqlStore) -> String {
    let mut registry = Registry::default();
    store.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    text
}

fn figure(store: &SqlStore, name: &str) -> Option<f64> {
    let figures = figures(store);
    let line = figures.lines().find(|line| line.starts_with(name))?;
    line.rsplit_once(' ').unwrap().1.parse().ok()
}

/// Waits, hearing meanwhile, until the store is told what others announce; or is not.
async fn until_heard(store: &SqlStore, heard: f64) {
    let began = Instant::now();
    while figure(store, "countersign_announcements_heard ") != Some(heard) {
        assert!(began.elapsed() < Duration::from_secs(20), "not {heard}");
        drop(timeout(Duration::from_millis(20), store.news()).await);
    }
    // Whoever begins to listen looks once, over a connection that may have to be made.
    drop(timeout(Duration::from_millis(500), store.news()).await);
}

/// The sessions that it hears of until nothing comes for a while.
async fn sessions_heard(store: &SqlStore, quiet: Duration) -> Vec<SessionId> {
    let mut heard = Vec::new();
    while let Ok(news) = timeout(quiet, store.news()).await {
        heard.extend(news.iter().filter_map(|one| match one.subject {
            Subject::Session(id) => Some(id),
            _ => None,
        }));
    }
    heard
}

async fn sign_out(store: &SqlStore) -> SessionId {
    let user = kit::user(store).await;
    let session = kit::open(store, user.id, at(0)).await;
    kit::logout(store, session.id, at(1)).await;
    session.id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_hear_of_it_at_once_and_the_speaker_is_not_woken() {
    let (a, b, _fresh) = two().await;
    until_heard(&a, 1.0).await;
    until_heard(&b, 1.0).await;
    let looks =
        "countersign_store_operation_duration_seconds_count{operation=\"announcements_news\"}";
    let before = figure(&a, looks);
    for _ in 0..5 {
        let ended = sign_out(&a).await;
        let news = timeout(SOON, b.news()).await.expect("news");
        assert!(
            news.iter()
                .any(|one| one.subject == Subject::Session(ended))
        );
    }
    assert!(timeout(Duration::from_millis(100), a.news()).await.is_err());
    assert_eq!(figure(&a, looks), before);
    a.close().await;
    b.close().await;
}

/// A store that nobody listens on, as an operator's command has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_announced_just_before_the_end_is_told() {
    let (a, b, _fresh) = two().await;
    until_heard(&b, 1.0).await;
    let ended = sign_out(&a).await;
    a.close().await;
    assert_eq!(figure(&a, "countersign_announcements_heard "), None);
    assert_eq!(sessions_heard(&b, SOON).await, [ended]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_replaced_and_what_was_missed_is_read() {
    let (a, b, fresh) = two().await;
    until_heard(&b, 1.0).await;
    sign_out(&a).await;
    assert_eq!(sessions_heard(&b, SOON).await.len(), 1);
    let mut admin = PgConnection::connect(&fresh.url()).await.unwrap();
    let ended = sqlx::raw_sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND query LIKE 'LISTEN %'",
    );
    let ended = ended.fetch_all(&mut admin).await.unwrap();
    assert_eq!(ended.len(), 1, "one connection listens");
    until_heard(&b, 0.0).await;
    let missed = sign_out(&a).await;
    // Long before it would be tried out.
    let heard = sessions_heard(&b, Duration::from_secs(2)).await;
    assert_eq!(heard, [missed]);
    until_heard(&b, 1.0).await;
    let next = sign_out(&a).await;
    assert_eq!(sessions_heard(&b, SOON).await, [next]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_is_heard_whole_in_few_looks() {
    const WRITERS: usize = 8;
    const EACH: usize = 250;
    let (a, b, _fresh) = two().await;
    until_heard(&b, 1.0).await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let a = a.clone();
        writers.push(tokio::spawn(async move {
            let user = kit::user(&a).await;
            let mut ended = BTreeSet::new();
            for _ in 0..EACH {
                let session = kit::open(&a, user.id, at(0)).await;
                kit::logout(&a, session.id, at(1)).await;
                ended.insert(session.id);
            }
            ended
        }));
    }
    let began = Instant::now();
    let hearing = tokio::spawn({
        let b = b.clone();
        async move { sessions_heard(&b, Duration::from_secs(3)).await }
    });
    let mut ended = BTreeSet::new();
    for writer in writers {
        ended.extend(writer.await.unwrap());
    }
    let lasted = began.elapsed();
    let heard = hearing.await.unwrap();
    assert_eq!(ended.len(), WRITERS * EACH);
    let told: BTreeSet<_> = heard.iter().copied().collect();
    assert_eq!(heard.len(), told.len(), "none is told twice");
    assert!(told.is_subset(&ended));
    // A commit that hangs for longer than its number is waited for is left to whoever follows the list.
    assert!(told.len() * 100 >= ended.len() * 99, "{} heard", told.len());
    let list = b.announcements_after(0, at(1)).await.unwrap();
    let listed = list
        .iter()
        .filter_map(|one| match one.announcement.subject {
            Subject::Session(id) => Some(id),
            _ => None,
        });
    assert_eq!(listed.collect::<BTreeSet<_>>(), ended);
    let looks =
        "countersign_store_operation_duration_seconds_count{operation=\"announcements_news\"}";
    let looks = figure(&b, looks).unwrap();
    let most = lasted.as_secs_f64() * 100.0 + 10.0;
    assert!(looks <= most, "{looks} looks in {lasted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_hearing_for_a_moment_misses_nothing() {
    let (a, b, _fresh) = two().await;
    until_heard(&b, 1.0).await;
    let mut ended = BTreeSet::new();
    let mut heard = BTreeSet::new();
    let mut note = |news: Vec<countersign_store::Announcement>| {
        for one in news {
            if let Subject::Session(id) = one.subject {
                heard.insert(id);
            }
        }
    };
    for round in 0..40 {
        ended.insert(sign_out(&a).await);
        // Given up in the midst of waiting, and of looking.
        if let Ok(news) = timeout(Duration::from_micros(round * 150), b.news()).await {
            note(news);
        }
    }
    while let Ok(news) = timeout(SOON, b.news()).await {
        note(news);
    }
    assert_eq!(heard, ended);
}
