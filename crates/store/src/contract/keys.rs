use std::sync::Arc;

use jiff::Timestamp;

use countersign_domain::rotation::{Dead, EndReason};

use super::kit::*;
use crate::{Actor, InstallKey, KeyRecord, NewKey, Patched, Store, Subject, UserChange};

fn key(kid: &str, algorithm: &str) -> NewKey {
    NewKey {
        kid: kid.to_owned(),
        algorithm: algorithm.to_owned(),
        public_jwk: format!(r#"{{"kid":"{kid}","kty":"OKP"}}"#),
        sealed_private: vec![0, 255, 10, 39],
    }
}

fn record(key: &NewKey, made: i64, activates: i64, expires: Option<i64>) -> KeyRecord {
    KeyRecord {
        kid: key.kid.clone(),
        algorithm: key.algorithm.clone(),
        public_jwk: key.public_jwk.clone(),
        sealed_private: key.sealed_private.clone(),
        created_at: at(made),
        activates_at: at(activates),
        expires_at: expires.map(at),
    }
}

const IF_MISSING: fn(i64, i64) -> InstallKey = |activates, others_expire| InstallKey::IfMissing {
    activates_at: at(activates),
    others_expire_at: at(others_expire),
};
const ROTATE: fn(i64, i64) -> InstallKey = |activates, others_expire| InstallKey::Rotate {
    activates_at: at(activates),
    others_expire_at: at(others_expire),
};

async fn install<S: Store>(store: &S, key: &NewKey, how: InstallKey, second: i64) -> bool {
    let announcements = store
        .install_key(
            Some(key),
            how,
            &act(Actor::Trusted, at(second), until(at(second))),
        )
        .await
        .unwrap();
    if let Some(announcements) = &announcements {
        let mut expected = vec![Subject::KeysChanged];
        if how == InstallKey::Emergency {
            let not_before = at(second);
            expected.insert(0, Subject::Everybody { not_before });
        }
        assert_eq!(subjects(announcements), expected);
    }
    announcements.is_some()
}

async fn keys<S: Store>(store: &S, now: Timestamp) -> Vec<KeyRecord> {
    store.signing_keys(now).await.unwrap()
}

pub async fn first_key_signs_at_once<S: Store>(a: Arc<S>, b: Arc<S>) {
    assert_eq!(keys(&*a, at(0)).await, []);
    let first = key("first", "EdDSA");
    assert!(install(&*a, &first, IF_MISSING(100, 200), 10).await);
    assert_eq!(keys(&*b, at(10)).await, [record(&first, 10, 10, None)]);
    let stored = announced(&*b).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].announcement.subject, Subject::KeysChanged);

    // After all keys have expired, the next one is a first one again.
    assert!(install(&*a, &key("second", "EdDSA"), ROTATE(100, 200), 20).await);
    assert!(install(&*a, &key("third", "EdDSA"), ROTATE(150, 200), 30).await);
    assert!(install(&*a, &key("last", "ES256"), ROTATE(160, 200), 40).await);
    let next = key("next", "ES256");
    let mut left = keys(&*b, at(300)).await;
    assert_eq!(left.pop().unwrap().kid, "last");
    assert_eq!(left, []);
    assert!(install(&*b, &next, InstallKey::Emergency, 300).await);
    assert_eq!(keys(&*a, at(300)).await, [record(&next, 300, 300, None)]);
}

pub async fn key_in_use_is_not_doubled<S: Store>(a: Arc<S>, b: Arc<S>) {
    let first = key("first", "EdDSA");
    assert!(install(&*a, &first, IF_MISSING(0, 0), 10).await);
    let before = announced(&*a).await;
    assert!(!install(&*b, &key("second", "EdDSA"), IF_MISSING(100, 200), 20).await);
    assert_eq!(keys(&*b, at(20)).await, [record(&first, 10, 10, None)]);
    assert_eq!(announced(&*b).await, before);
}

pub async fn new_algorithm_retires_the_old_one<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (old, new) = (key("old", "EdDSA"), key("new", "ES256"));
    assert!(install(&*a, &old, IF_MISSING(0, 0), 10).await);
    assert!(install(&*b, &new, IF_MISSING(100, 1000), 20).await);
    let expected = [
        record(&old, 10, 10, Some(1000)),
        record(&new, 20, 100, None),
    ];
    assert_eq!(keys(&*a, at(20)).await, expected);
    assert_eq!(keys(&*a, at(1000)).await, expected[1..]);
}

pub async fn retiring_key_does_not_count_as_in_use<S: Store>(a: Arc<S>, b: Arc<S>) {
    assert!(install(&*a, &key("1", "EdDSA"), IF_MISSING(0, 0), 10).await);
    assert!(install(&*a, &key("2", "ES256"), IF_MISSING(20, 1000), 20).await);
    // Back to the first algorithm, whose key is about to go.
    let third = key("3", "EdDSA");
    assert!(install(&*b, &third, IF_MISSING(60, 1100), 30).await);
    let listed = keys(&*a, at(30)).await;
    let ends: Vec<_> = listed.iter().map(|key| key.expires_at).collect();
    assert_eq!(ends, [Some(at(1000)), Some(at(1100)), None]);
    assert_eq!(listed[2], record(&third, 30, 60, None));
}

pub async fn rotation_keeps_earlier_ends<S: Store>(a: Arc<S>, b: Arc<S>) {
    let all = ["1", "2", "3"].map(|kid| key(kid, "EdDSA"));
    assert!(install(&*a, &all[0], ROTATE(100, 200), 10).await);
    assert!(install(&*b, &all[1], ROTATE(100, 900), 20).await);
    assert!(install(&*a, &all[2], ROTATE(150, 950), 30).await);
    let expected = [
        record(&all[0], 10, 10, Some(900)),
        record(&all[1], 20, 100, Some(950)),
        record(&all[2], 30, 150, None),
    ];
    assert_eq!(keys(&*b, at(30)).await, expected);
    assert_eq!(keys(&*b, at(900)).await, expected[1..]);
}

pub async fn emergency_deletes_all_others<S: Store>(a: Arc<S>, b: Arc<S>) {
    assert!(install(&*a, &key("1", "EdDSA"), IF_MISSING(0, 0), 10).await);
    assert!(install(&*a, &key("2", "ES256"), IF_MISSING(20, 1000), 20).await);
    let new = key("3", "EdDSA");
    assert!(install(&*b, &new, InstallKey::Emergency, 30).await);
    assert_eq!(keys(&*a, at(0)).await, [record(&new, 30, 30, None)]);
}

pub async fn emergency_ends_every_session_from_before<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let before = [
        open(&*a, one.id, at(10)).await,
        open(&*a, other.id, at(20)).await,
    ];
    let doing = act(Actor::Trusted, at(30), until(at(30)));
    let how = InstallKey::Emergency;
    b.install_key(None, how, &doing).await.unwrap();
    let after = open(&*a, one.id, at(31)).await;
    for session in before {
        let outcome = refresh(&*b, session.id, 0, at(32)).await;
        assert_dead(
            &outcome,
            Dead::Ended(EndReason::Emergency),
            Some(doing.event()),
        );
        let acting = act(Actor::Session(session.id), at(32), until(at(32)));
        let change = UserChange::default();
        let patched = a.change_user(session.user_id, &change, &acting).await;
        assert_eq!(patched.unwrap(), Patched::ActorEnded);
        assert_eq!(logout(&*a, session.id, at(33)).await, []);
    }
    let live = a.live_sessions(one.id, None, 200, at(32)).await.unwrap();
    assert_eq!(live, std::slice::from_ref(&after));
    refreshed(&*b, after.id, 0, at(33)).await;
}

pub async fn without_a_key_only_the_others_are_affected<S: Store>(a: Arc<S>, b: Arc<S>) {
    let old = key("old", "EdDSA");
    assert!(install(&*a, &old, IF_MISSING(0, 0), 10).await);
    let announcements = b
        .install_key(
            None,
            ROTATE(20, 900),
            &act(Actor::Trusted, at(20), until(at(20))),
        )
        .await
        .unwrap();
    assert_eq!(subjects(&announcements.unwrap()), [Subject::KeysChanged]);
    let expected = [record(&old, 10, 10, Some(900))];
    assert_eq!(keys(&*a, at(20)).await, expected);
    let how = InstallKey::Emergency;
    assert!(
        b.install_key(None, how, &act(Actor::Trusted, at(30), until(at(30))))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(keys(&*a, at(30)).await, []);
}

pub async fn one_of_ten_installs<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for round in 0..4 {
        let tasks: Vec<_> = (0..10)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                tokio::spawn(async move {
                    let key = key(&format!("key {round} {n}"), &format!("algorithm {round}"));
                    install(&*store, &key, IF_MISSING(100, 200), n).await
                })
            })
            .collect();
        let mut installed = 0;
        for task in tasks {
            installed += usize::from(task.await.unwrap());
        }
        assert_eq!(installed, 1);
        let listed = keys(&*a, at(0)).await;
        assert_eq!(listed.len(), round + 1);
        let in_use = listed.iter().filter(|key| key.expires_at.is_none());
        assert_eq!(in_use.count(), 1);
        if round == 0 {
            assert_eq!(listed[0].activates_at, listed[0].created_at);
        }
    }
    assert_eq!(announced(&*b).await.len(), 4);
}

pub async fn root_secret_is_bound_once<S: Store>(a: Arc<S>, b: Arc<S>) {
    // The row may be there already, without a fingerprint.
    assert!(install(&*a, &key("1", "EdDSA"), IF_MISSING(0, 0), 10).await);
    let tasks: Vec<_> = (0..10_u8)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
            tokio::spawn(async move { store.bind_root_secret(&[n; 32], at(1)).await.unwrap() })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(
        b.bind_root_secret(&[99; 32], at(2)).await.unwrap(),
        answers[0]
    );
}
