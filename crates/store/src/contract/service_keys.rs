use std::sync::Arc;

use countersign_domain::ServiceKeyId;
use countersign_domain::service_key::ServiceKeyHash;
use jiff::Timestamp;

use super::kit::*;
use crate::{Act, Actor, NewServiceKey, ServiceKeyCreated, ServiceKeyRecord, Store, Subject};

fn key(name: &str) -> NewServiceKey {
    let n = next().to_be_bytes();
    let mut random = [0; 10];
    random[2..].copy_from_slice(&n);
    let mut hash = [255; 32];
    hash[..8].copy_from_slice(&n);
    NewServiceKey {
        id: ServiceKeyId::new(at(0), random),
        name: name.to_owned(),
        hash: ServiceKeyHash(hash),
        scopes: vec!["feed".to_owned(), "la\"ter".to_owned()],
        expires_at: None,
    }
}

fn record(new: &NewServiceKey, made: i64, revoked: Option<i64>) -> ServiceKeyRecord {
    ServiceKeyRecord {
        id: new.id,
        name: new.name.clone(),
        hash: new.hash,
        scopes: new.scopes.clone(),
        created_at: at(made),
        expires_at: new.expires_at,
        revoked_at: revoked.map(at),
    }
}

fn acting(now: Timestamp) -> Act {
    act(Actor::Trusted, now, until(now))
}

async fn create<S: Store>(store: &S, new: &NewServiceKey, second: i64) -> bool {
    let doing = acting(at(second));
    match store.create_service_key(new, &doing).await.unwrap() {
        ServiceKeyCreated::NameTaken => {
            assert!(store.event(doing.event()).await.unwrap().is_none());
            false
        }
        ServiceKeyCreated::Created(announcements) => {
            assert_eq!(subjects(&announcements), [Subject::KeysChanged]);
            assert_eq!(announcements[0].event, Some(doing.event()));
            assert!(store.event(doing.event()).await.unwrap().is_some());
            true
        }
    }
}

pub async fn made_key_is_found_again<S: Store>(a: Arc<S>, b: Arc<S>) {
    assert_eq!(a.service_keys().await.unwrap(), []);
    let (first, mut second) = (key("first"), key("second"));
    second.expires_at = Some(at(90));
    assert!(create(&*a, &first, 10).await);
    assert!(create(&*b, &second, 20).await);
    // Also when it has expired: operators want to see it.
    let expected = [record(&first, 10, None), record(&second, 20, None)];
    assert_eq!(b.service_keys().await.unwrap(), expected);
    let stored = announced(&*b).await;
    let told: Vec<_> = stored.iter().map(|one| one.announcement.subject).collect();
    assert_eq!(told, [Subject::KeysChanged; 2]);
}

pub async fn name_is_taken_until_its_key_is_revoked<S: Store>(a: Arc<S>, b: Arc<S>) {
    let first = key("api");
    assert!(create(&*a, &first, 10).await);
    let second = key("api");
    assert!(!create(&*b, &second, 20).await);
    assert_eq!(b.service_keys().await.unwrap(), [record(&first, 10, None)]);
    assert_eq!(announced(&*a).await.len(), 1);
    a.revoke_service_key(first.id, &acting(at(30)))
        .await
        .unwrap();
    assert!(create(&*b, &second, 40).await);
    let expected = [record(&first, 10, Some(30)), record(&second, 40, None)];
    assert_eq!(a.service_keys().await.unwrap(), expected);
}

pub async fn revoked_key_stays_revoked<S: Store>(a: Arc<S>, b: Arc<S>) {
    let new = key("api");
    let unknown = a.revoke_service_key(new.id, &acting(at(5))).await.unwrap();
    assert_eq!(unknown, None);
    assert!(create(&*a, &new, 10).await);
    let doing = acting(at(20));
    let revoked = b.revoke_service_key(new.id, &doing).await.unwrap();
    assert_eq!(subjects(&revoked.unwrap()), [Subject::KeysChanged]);
    assert!(a.event(doing.event()).await.unwrap().is_some());
    let again = acting(at(30));
    assert_eq!(a.revoke_service_key(new.id, &again).await.unwrap(), None);
    assert!(a.event(again.event()).await.unwrap().is_none());
    assert_eq!(
        a.service_keys().await.unwrap(),
        [record(&new, 10, Some(20))]
    );
    assert_eq!(announced(&*a).await.len(), 2);
}

pub async fn one_of_ten_gets_the_name<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    let tasks: Vec<_> = (0..10)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
            tokio::spawn(async move { create(&*store, &key("api"), n).await })
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap());
    }
    assert_eq!(created, 1);
    assert_eq!(a.service_keys().await.unwrap().len(), 1);
}
