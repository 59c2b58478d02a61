use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use countersign_domain::SessionId;

use super::kit::*;
use crate::{Store, Subject};

pub async fn list_is_in_order_and_live<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let mut ids = Vec::new();
    for second in [0, 1, 2] {
        let session = open(&*a, one.id, at(0)).await;
        logout(&*a, session.id, at(second)).await;
        ids.push(session.id);
    }
    assert_eq!(announced_sessions(&*b).await, ids);
    let all = announced(&*b).await;
    assert!(all.is_sorted_by_key(|announced| announced.seq));
    assert!(all[0].seq > 0, "0 comes before all");
    let ends: Vec<_> = all.iter().map(|one| one.announcement.expires_at).collect();
    assert_eq!(ends, [until(at(0)), until(at(1)), until(at(2))]);
    let left = b.announcements_after(0, until(at(1))).await.unwrap();
    assert_eq!(left, all[2..]);
    let left = b.announcements_after(0, until(at(2))).await.unwrap();
    assert_eq!(left, []);
}

pub async fn stretches_overlap<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    for _ in 0..3 {
        let session = open(&*a, one.id, at(0)).await;
        logout(&*a, session.id, at(0)).await;
    }
    let all = announced(&*b).await;
    for (place, announced) in all.iter().enumerate() {
        let after = b.announcements_after(announced.seq, at(0)).await.unwrap();
        assert_eq!(after, all[place + 1..]);
    }
    let before = b.announcements_after(all[1].seq - 1, at(0)).await.unwrap();
    assert_eq!(before, all[1..]);
}

/// A reader that follows the log while others write, going back over a stretch that it has seen,
/// as instances do.
pub async fn none_is_left_out_under_concurrent_writers<S: Store>(a: Arc<S>, b: Arc<S>) {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    // More than can be under way at once.
    const OVERLAP: i64 = 64;
    let finished = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for n in 0..WRITERS {
        let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
        let finished = Arc::clone(&finished);
        writers.push(tokio::spawn(async move {
            let one = user(&*store).await;
            let mut ended = Vec::new();
            for _ in 0..EACH {
                let session = open(&*store, one.id, at(0)).await;
                let announcements = logout(&*store, session.id, at(0)).await;
                assert_eq!(subjects(&announcements), [Subject::Session(session.id)]);
                ended.push(session.id);
            }
            finished.fetch_add(1, Ordering::AcqRel);
            ended
        }));
    }
    let mut seen: BTreeSet<SessionId> = BTreeSet::new();
    let mut newest = 0;
    loop {
        let last_look = finished.load(Ordering::Acquire) == WRITERS;
        let from = (newest - OVERLAP).max(0);
        for announced in b.announcements_after(from, at(0)).await.unwrap() {
            newest = newest.max(announced.seq);
            if let Subject::Session(id) = announced.announcement.subject {
                seen.insert(id);
            }
        }
        if last_look {
            break;
        }
        tokio::task::yield_now().await;
    }
    for writer in writers {
        for id in writer.await.unwrap() {
            assert!(seen.remove(&id), "{id} was left out");
        }
    }
    assert!(seen.is_empty());
}

/// Not every backend has news. What is heard is true, and takes nothing from the list.
pub async fn news_tell_what_is_on_the_list<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let mut ended = Vec::new();
    let mut heard = Vec::new();
    for _ in 0..10 {
        let session = open(&*a, one.id, at(0)).await;
        logout(&*a, session.id, at(0)).await;
        ended.push(session.id);
        // Given up whenever it is waiting.
        let news = tokio::time::timeout(Duration::from_millis(50), b.news());
        heard.extend(news.await.unwrap_or_default());
    }
    let list: Vec<_> = announced(&*b).await;
    for one in &heard {
        assert!(list.iter().any(|listed| listed.announcement == *one));
    }
    assert_eq!(announced_sessions(&*b).await, ended);
}
