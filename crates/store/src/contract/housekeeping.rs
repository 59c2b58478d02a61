use std::sync::Arc;

use jiff::SignedDuration;
use uuid::Uuid;

use super::kit::*;
use crate::{Actor, InstallKey, NewKey, Purge, Store};

pub async fn one_holds_the_lease<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let take = async |store: &S, name, holder, now, until| {
        store
            .take_lease(name, holder, at(now), at(until))
            .await
            .unwrap()
    };
    assert!(take(&a, "sweep", one, 0, 100).await);
    assert!(!take(&b, "sweep", two, 99, 300).await);
    assert!(take(&b, "other", two, 99, 300).await);
    assert!(take(&a, "sweep", one, 50, 200).await);
    assert!(!take(&b, "sweep", two, 150, 300).await);
    assert!(take(&b, "sweep", two, 200, 300).await);
    assert!(!take(&a, "sweep", one, 250, 400).await);
}

pub async fn one_of_eight_gets_a_free_lease<S: Store>(a: Arc<S>, b: Arc<S>) {
    let tasks: Vec<_> = (1..=8)
        .map(|number| {
            let store = Arc::clone(if number % 2 == 0 { &a } else { &b });
            tokio::spawn(async move {
                let holder = Uuid::from_u128(number);
                store
                    .take_lease("sweep", holder, at(0), at(9))
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut holders = 0;
    for task in tasks {
        holders += usize::from(task.await.unwrap());
    }
    assert_eq!(holders, 1);
}

pub async fn purging_removes_what_is_over_and_nothing_else<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let old = open(&*a, one.id, at(0)).await;
    let ended = open(&*a, one.id, at(50)).await;
    let live = open(&*a, one.id, at(60)).await;
    logout(&*a, ended.id, at(70)).await;
    let count = async |what, before, limit| b.purge(what, before, limit).await.unwrap();

    assert_eq!(count(Purge::EndedSessions, at(70), 10).await, 0);
    assert_eq!(count(Purge::EndedSessions, at(71), 10).await, 1);
    let over = old.state.expires_at;
    assert_eq!(count(Purge::ExpiredSessions, over, 10).await, 0);
    let after = over + SignedDuration::from_secs(1);
    assert_eq!(count(Purge::ExpiredSessions, after, 10).await, 1);
    for (session, there) in [(&old, false), (&ended, false), (&live, true)] {
        assert_eq!(a.session(session.id).await.unwrap().is_some(), there);
    }
    let until = until(at(70));
    assert_eq!(count(Purge::Announcements, until, 10).await, 0);
    let after = until + SignedDuration::from_secs(1);
    assert_eq!(count(Purge::Announcements, after, 10).await, 1);
    assert_eq!(a.announcements_after(0, at(70)).await.unwrap(), []);
}

pub async fn purging_goes_in_batches<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    for second in 0..7 {
        let session = open(&*a, one.id, at(second)).await;
        logout(&*a, session.id, at(second)).await;
    }
    for expected in [3, 3, 1, 0] {
        let removed = b.purge(Purge::EndedSessions, at(100), 3).await.unwrap();
        assert_eq!(removed, expected);
    }
}

pub async fn purging_keeps_keys_that_verify<S: Store>(a: Arc<S>, b: Arc<S>) {
    for (kid, second, others) in [("1", 0, 0), ("2", 10, 100), ("3", 20, 200)] {
        let key = NewKey {
            kid: kid.to_owned(),
            algorithm: "EdDSA".to_owned(),
            public_jwk: "{}".to_owned(),
            sealed_private: vec![1],
        };
        let how = InstallKey::Rotate {
            activates_at: at(second),
            others_expire_at: at(others),
        };
        a.install_key(
            Some(&key),
            how,
            &act(Actor::Trusted, at(second), until(at(second))),
        )
        .await
        .unwrap();
    }
    assert_eq!(b.purge(Purge::Keys, at(100), 10).await.unwrap(), 0);
    assert_eq!(b.purge(Purge::Keys, at(101), 10).await.unwrap(), 1);
    assert_eq!(b.purge(Purge::Keys, at(9999), 10).await.unwrap(), 1);
    let left = a.signing_keys(at(0)).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].kid, "3");
}
