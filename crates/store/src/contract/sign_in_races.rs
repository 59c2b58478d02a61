//! Signing in and registering against everything that changes a user.

use std::sync::Arc;

use super::kit::*;
use crate::{
    Actor, Created, NewUser, Opened, PasswordSet, Patched, SetPassword, Store, User, UserChange,
};

const ROUNDS: u64 = 20;

/// Four sign-ins, on both pools, race with `change`, after which none of them may have left a live
/// session behind.
async fn sign_in_against<S, E, F>(a: Arc<S>, b: Arc<S>, change: E)
where
    S: Store,
    E: Fn(Arc<S>, User) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    warm(&a, &b).await;
    let (mut early, mut late) = (0, 0);
    for round in 0..ROUNDS {
        let one = user(&*a).await;
        let sign_ins: Vec<_> = (0..4)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                let new = new_session(one.id, at(1));
                tokio::spawn(async move {
                    wander(round * 4 + n).await;
                    let opened = store
                        .open_session(&new, &proof(1), &act(Actor::Trusted, at(1), until(at(1))))
                        .await
                        .unwrap();
                    (new.id, opened)
                })
            })
            .collect();
        wander(round * 7).await;
        let changed = tokio::spawn(change(Arc::clone(&b), one.clone()));
        changed.await.unwrap();
        let announced = announced_sessions(&*b).await;
        for sign_in in sign_ins {
            let (id, opened) = sign_in.await.unwrap();
            let stored = a.session(id).await.unwrap();
            match opened {
                Opened::Opened(..) => {
                    early += 1;
                    assert!(stored.is_none_or(|session| session.state.ended.is_some()));
                    assert!(announced.contains(&id), "its access token would live on");
                }
                Opened::ProofStale => {
                    late += 1;
                    assert_eq!(stored, None);
                }
            }
        }
        let live = a.live_sessions(one.id, None, 200, at(2)).await.unwrap();
        assert_eq!(live, []);
    }
    assert_eq!(early + late, 4 * ROUNDS);
}

pub async fn sign_in_against_password_change<S: Store>(a: Arc<S>, b: Arc<S>) {
    sign_in_against(a, b, |store, user| async move {
        let set = SetPassword {
            expected: None,
            hash: hash(2),
        };
        let doing = act(Actor::Trusted, at(1), until(at(1)));
        let done = store.set_password(user.id, &set, &doing);
        assert!(matches!(done.await.unwrap(), PasswordSet::Set(_)));
    })
    .await;
}

pub async fn sign_in_against_disabling<S: Store>(a: Arc<S>, b: Arc<S>) {
    sign_in_against(a, b, |store, user| async move {
        let disable = UserChange {
            disabled: Some(true),
            ..UserChange::default()
        };
        let doing = act(Actor::Trusted, at(1), until(at(1)));
        let patched = store.change_user(user.id, &disable, &doing);
        assert!(matches!(patched.await.unwrap(), Patched::Changed(..)));
    })
    .await;
}

pub async fn sign_in_against_deletion<S: Store>(a: Arc<S>, b: Arc<S>) {
    sign_in_against(a, b, |store, user| async move {
        let doing = act(Actor::Trusted, at(1), until(at(1)));
        let deleted = store.delete_user(user.id, None, &doing);
        deleted.await.unwrap();
    })
    .await;
}

pub async fn one_of_32_registrations_wins<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for _ in 0..4 {
        let wanted = new_user(at(0));
        let tasks: Vec<_> = (0..32)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                let new = NewUser {
                    email: wanted.email.clone(),
                    email_key: wanted.email_key.clone(),
                    ..new_user(at(n))
                };
                tokio::spawn(async move {
                    store
                        .create_user(&new, &act(Actor::Trusted, at(n), until(at(n))))
                        .await
                        .unwrap()
                })
            })
            .collect();
        let mut created = Vec::new();
        for task in tasks {
            if let Created::Created(user) = task.await.unwrap() {
                created.push(user);
            }
        }
        assert_eq!(created.len(), 1);
        let stored = a.user_by_email(&wanted.email_key).await.unwrap();
        assert_eq!(stored, created.pop());
    }
}

pub async fn one_of_two_users_gets_the_address<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for round in 0..ROUNDS {
        let wanted = email(&format!("wanted{round}@example.org"));
        let mut tasks = Vec::new();
        for (store, seed) in [(&a, round), (&b, round + 1000)] {
            let (store, user) = (Arc::clone(store), user(&**store).await);
            let change = UserChange {
                email: Some((wanted.as_typed().to_owned(), wanted.key().clone())),
                ..UserChange::default()
            };
            tasks.push(tokio::spawn(async move {
                wander(seed).await;
                let now = at(1);
                let doing = act(Actor::Trusted, now, until(now));
                let patched = store.change_user(user.id, &change, &doing);
                patched.await.unwrap()
            }));
        }
        let mut changed = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Patched::Changed(user, _) => changed.push(user),
                other => assert_eq!(other, Patched::EmailTaken),
            }
        }
        assert_eq!(changed.len(), 1);
        let stored = a.user_by_email(wanted.key()).await.unwrap();
        assert_eq!(stored, changed.pop());
    }
}

pub async fn one_of_16_password_changes_wins<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for _ in 0..4 {
        let one = user(&*a).await;
        let tasks: Vec<_> = (2..18)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                let set = SetPassword {
                    expected: Some(hash(1).as_str().to_owned()),
                    hash: hash(n),
                };
                tokio::spawn(async move {
                    let now = at(1);
                    let doing = act(Actor::Trusted, now, until(now));
                    let done = store.set_password(one.id, &set, &doing);
                    (n, done.await.unwrap())
                })
            })
            .collect();
        let mut won = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                (n, PasswordSet::Set(_)) => won.push(n),
                (_, other) => assert_eq!(other, PasswordSet::Conflict),
            }
        }
        assert_eq!(won.len(), 1);
        let stored = b.credentials(one.id).await.unwrap().unwrap().password_hash;
        assert_eq!(stored.unwrap(), hash(won[0]).as_str());
    }
}

/// Calls whose callers go away at any moment: what is acknowledged afterwards holds, and nobody is
/// given another's answer.
pub async fn abandoned_calls_leave_nothing_behind<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(user(&*a).await);
    }
    for round in 0..40 {
        let victim = users[round as usize % users.len()].id;
        let store = Arc::clone(if round % 2 == 0 { &a } else { &b });
        let abandoned = tokio::spawn(async move {
            let now = at(1);
            let session = open(&*store, victim, now).await;
            refreshed(&*store, session.id, 0, now).await;
            let change = UserChange {
                name: Some(Some("abandoned".to_owned())),
                ..UserChange::default()
            };
            let actor = Actor::Session(session.id);
            let doing = act(actor, now, until(now));
            let patched = store.change_user(victim, &change, &doing);
            patched.await.unwrap();
            logout(&*store, session.id, now).await;
        });
        wander(round).await;
        wander(round * 31).await;
        abandoned.abort();
        for user in &users {
            let stored = a.user(user.id).await.unwrap().unwrap();
            assert_eq!((stored.id, &stored.email), (user.id, &user.email));
            let session = open(&*a, user.id, at(2)).await;
            assert_eq!(session.user_id, user.id);
            // Committed for good, not in a transaction that somebody left open.
            let stored = b.session(session.id).await.unwrap();
            assert_eq!(stored, Some(session));
        }
    }
}
