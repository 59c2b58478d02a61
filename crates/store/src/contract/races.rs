//! Refreshing against everything that ends sessions. After the acknowledgement of the end nothing
//! of the session works, whoever came first.

use std::sync::Arc;

use countersign_domain::SessionId;
use countersign_domain::rotation::EndReason;

use super::kit::*;
use crate::{
    Actor, Ended, PasswordSet, Patched, RefreshOutcome, Scope, Session, SetPassword, Store,
    UserChange,
};

const ROUNDS: u64 = 20;

pub async fn one_successor_for_64_refreshes<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(0)).await;
    for generation in 0..4 {
        let now = at(100 * (i64::from(generation) + 1));
        let tasks: Vec<_> = (0..64)
            .map(|n| {
                let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
                tokio::spawn(async move { refreshed(&*store, session.id, generation, now).await })
            })
            .collect();
        let mut rotated = 0;
        for task in tasks {
            let refreshed = task.await.unwrap();
            assert_eq!(refreshed.grant.state.generation, generation + 1);
            rotated += usize::from(refreshed.rotated);
        }
        assert_eq!(rotated, 1);
        let stored = a.session(session.id).await.unwrap().unwrap();
        assert_eq!(stored.state.generation, generation + 1);
    }
}

pub async fn one_announcement_for_64_reuses<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(0)).await;
    refreshed(&*a, session.id, 0, at(1)).await;
    refreshed(&*a, session.id, 1, at(2)).await;
    warm(&a, &b).await;
    let tasks: Vec<_> = (0..64)
        .map(|n| {
            let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
            tokio::spawn(async move { refresh(&*store, session.id, 0, at(3)).await })
        })
        .collect();
    let mut announcements = 0;
    for task in tasks {
        match task.await.unwrap() {
            RefreshOutcome::Reused {
                announcements: list,
                ..
            } => announcements += list.len(),
            RefreshOutcome::Dead { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(announcements, 1);
    assert_eq!(announced_sessions(&*b).await, [session.id]);
}

/// A client with two tabs refreshes in a chain, over both pools, while `end` ends the session.
/// Whatever it saw meanwhile: once the end is acknowledged the session never rotates, and no
/// generation works any more.
async fn refresh_against<S, E, F>(a: Arc<S>, b: Arc<S>, end: E)
where
    S: Store,
    E: Fn(Arc<S>, Session) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    warm(&a, &b).await;
    for round in 0..ROUNDS {
        let one = user(&*a).await;
        let session = open(&*a, one.id, at(0)).await;
        let tabs = (Arc::clone(&a), Arc::clone(&b));
        let client = tokio::spawn(chain(tabs, session.id));
        wander(round).await;
        let ended = tokio::spawn(end(Arc::clone(&b), session.clone()));
        ended.await.unwrap();
        let stored = a.session(session.id).await.unwrap();
        client.await.unwrap();
        let settled = b.session(session.id).await.unwrap();
        assert_eq!(settled, stored, "changed after the acknowledgement");
        let reached = settled.map_or(0, |settled| {
            assert!(settled.state.ended.is_some());
            settled.state.generation
        });
        for generation in [0, reached.saturating_sub(1), reached, reached + 1] {
            assert_over(&*a, session.id, generation).await;
            assert_over(&*b, session.id, generation).await;
        }
    }
}

/// Refreshes in two tabs at once, again and again, until the session is over for both.
async fn chain<S: Store>((a, b): (Arc<S>, Arc<S>), session: SessionId) {
    let mut generation = 0;
    loop {
        let outcomes = tokio::join!(
            refresh(&*a, session, generation, at(1)),
            refresh(&*b, session, generation, at(1)),
        );
        let goes_on = |outcome: &RefreshOutcome| match outcome {
            RefreshOutcome::Refreshed(refreshed) => {
                assert_eq!(refreshed.grant.state.generation, generation + 1);
                true
            }
            RefreshOutcome::Dead { .. } | RefreshOutcome::Unknown => false,
            RefreshOutcome::Reused { .. } => panic!("an honest client taken for a thief"),
        };
        if !(goes_on(&outcomes.0) && goes_on(&outcomes.1)) {
            return;
        }
        generation += 1;
    }
}

async fn assert_over<S: Store>(store: &S, session: SessionId, generation: u32) {
    let outcome = refresh(store, session, generation, at(2)).await;
    let over = matches!(
        outcome,
        RefreshOutcome::Dead { .. } | RefreshOutcome::Unknown
    );
    assert!(over, "generation {generation}: {outcome:?}");
}

pub async fn refresh_against_logout<S: Store>(a: Arc<S>, b: Arc<S>) {
    refresh_against(a, b, |store, session| async move {
        logout(&*store, session.id, at(1)).await;
    })
    .await;
}

pub async fn refresh_against_logout_of_all<S: Store>(a: Arc<S>, b: Arc<S>) {
    refresh_against(a, b, |store, session| async move {
        let (reason, actor, now) = (EndReason::LogoutAll, Actor::Trusted, at(1));
        let doing = act(actor, now, until(now));
        let ended = store.end_sessions(session.user_id, Scope::All, reason, &doing);
        assert!(matches!(ended.await.unwrap(), Ended::Ended(_)));
    })
    .await;
}

pub async fn refresh_against_password_change<S: Store>(a: Arc<S>, b: Arc<S>) {
    refresh_against(a, b, |store, session| async move {
        let set = SetPassword {
            expected: Some(hash(1).as_str().to_owned()),
            hash: hash(2),
        };
        let now = at(1);
        let doing = act(Actor::Trusted, now, until(now));
        let done = store.set_password(session.user_id, &set, &doing);
        assert!(matches!(done.await.unwrap(), PasswordSet::Set(_)));
    })
    .await;
}

pub async fn refresh_against_disabling<S: Store>(a: Arc<S>, b: Arc<S>) {
    refresh_against(a, b, |store, session| async move {
        let disable = UserChange {
            disabled: Some(true),
            ..UserChange::default()
        };
        let now = at(1);
        let doing = act(Actor::Trusted, now, until(now));
        let patched = store.change_user(session.user_id, &disable, &doing);
        assert!(matches!(patched.await.unwrap(), Patched::Changed(..)));
    })
    .await;
}

pub async fn refresh_against_deletion<S: Store>(a: Arc<S>, b: Arc<S>) {
    refresh_against(a, b, |store, session| async move {
        let now = at(1);
        let doing = act(Actor::Trusted, now, until(now));
        let deleted = store.delete_user(session.user_id, None, &doing);
        deleted.await.unwrap();
        assert_eq!(store.session(session.id).await.unwrap(), None);
    })
    .await;
}

/// Each acts for itself against the other: one is first, and then the other may not any more.
pub async fn two_sessions_end_each_other<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for round in 0..ROUNDS {
        let one = user(&*a).await;
        let (left, right) = (
            open(&*a, one.id, at(0)).await,
            open(&*a, one.id, at(0)).await,
        );
        let end = |store: &Arc<S>, actor: SessionId, target: SessionId, seed| {
            let (store, owner) = (Arc::clone(store), Some(one.id));
            tokio::spawn(async move {
                wander(seed).await;
                let (reason, actor, now) = (EndReason::Revoked, Actor::Session(actor), at(1));
                let doing = act(actor, now, until(now));
                let ended = store.end_session(target, owner, reason, &doing);
                ended.await.unwrap()
            })
        };
        let first = end(&a, left.id, right.id, round);
        let second = end(&b, right.id, left.id, round + 1000);
        let outcomes = [first.await.unwrap(), second.await.unwrap()];
        let ended = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ended::Ended(list) if list.len() == 1))
            .count();
        assert_eq!(ended, 1, "{outcomes:?}");
        assert!(outcomes.contains(&Ended::ActorEnded), "{outcomes:?}");
    }
}

/// A sign-out of all beside the sign-outs of each: every session ends once and is announced once.
pub async fn every_end_is_announced_once<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    let mut expected = Vec::new();
    for round in 0..ROUNDS {
        let one = user(&*a).await;
        let mut tasks = Vec::new();
        for n in 0..4 {
            let session = open(&*a, one.id, at(0)).await;
            expected.push(session.id);
            let store = Arc::clone(&a);
            tasks.push(tokio::spawn(async move {
                wander(round * 4 + n).await;
                logout(&*store, session.id, at(1)).await
            }));
        }
        let store = Arc::clone(&b);
        tasks.push(tokio::spawn(async move {
            wander(round * 7).await;
            let (reason, actor, now) = (EndReason::LogoutAll, Actor::Trusted, at(1));
            let doing = act(actor, now, until(now));
            let ended = store.end_sessions(one.id, Scope::All, reason, &doing);
            match ended.await.unwrap() {
                Ended::Ended(announcements) => announcements,
                other => panic!("{other:?}"),
            }
        }));
        let mut told = 0;
        for task in tasks {
            told += task.await.unwrap().len();
        }
        assert_eq!(told, 4);
    }
    assert_same(&announced_sessions(&*a).await, &expected);
}
