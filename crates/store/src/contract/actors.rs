//! A token of a dead session can change nothing.

use std::sync::Arc;

use countersign_domain::rotation::EndReason;
use jiff::Timestamp;

use super::kit::*;
use crate::{
    Actor, Deleted, Ended, PasswordSet, Patched, Scope, Session, SetPassword, Store, User,
    UserChange,
};

/// When the changes below are tried. The expired sessions have expired by then.
const NOW: i64 = ABSOLUTE + 10;

struct Scene {
    user: User,
    /// A live session of the user.
    live: Session,
    /// Sessions that may not act for the user: ended, idled out, too old, another user's, unknown.
    dead: Vec<Actor>,
}

async fn scene<S: Store>(store: &S) -> Scene {
    let (one, other) = (user(store).await, user(store).await);
    let ended = open(store, one.id, at(NOW - 2)).await;
    logout(store, ended.id, at(NOW - 1)).await;
    let idle = open(store, one.id, at(NOW) - POLICY.idle).await;
    let mut aged = new_session(one.id, at(NOW - ABSOLUTE));
    aged.idle_expires_at = at(2 * NOW);
    store
        .open_session(
            &aged,
            &proof(1),
            &act(
                Actor::Trusted,
                at(NOW - ABSOLUTE),
                until(at(NOW - ABSOLUTE)),
            ),
        )
        .await
        .unwrap();
    let foreign = open(store, other.id, at(NOW - 1)).await;
    let live = open(store, one.id, at(NOW - 1)).await;
    let dead = [ended.id, idle.id, aged.id, foreign.id, session_id()];
    Scene {
        user: store.user(one.id).await.unwrap().unwrap(),
        live,
        dead: dead.map(Actor::Session).to_vec(),
    }
}

/// Everything about the user that a change could touch, as text.
async fn picture<S: Store>(store: &S, scene: &Scene) -> String {
    let credentials = store.credentials(scene.user.id).await.unwrap();
    let sessions = store.live_sessions(scene.user.id, None, 200, at(0)).await;
    let announced = announced(store).await;
    format!("{credentials:?} {sessions:?} {announced:?}")
}

fn now() -> (Timestamp, Timestamp) {
    (at(NOW), until(at(NOW)))
}

pub async fn live_session_may_act<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (id, actor) = (scene.user.id, Actor::Session(scene.live.id));
    let (now, until) = now();
    let change = UserChange::default();
    let patched = a.change_user(id, &change, &act(actor, now, until)).await;
    assert!(matches!(patched.unwrap(), Patched::Changed(..)));
    let set = SetPassword {
        expected: Some(hash(1).as_str().to_owned()),
        hash: hash(1),
    };
    let done = a.set_password(id, &set, &act(actor, now, until)).await;
    assert!(matches!(done.unwrap(), PasswordSet::Set(_)));
    let target = open(&*a, id, now).await;
    let reason_given = EndReason::Revoked;
    let doing = act(actor, now, until);
    let ended = a.end_session(target.id, Some(id), reason_given, &doing);
    assert!(matches!(ended.await.unwrap(), Ended::Ended(list) if list.len() == 1));
    let others = Scope::AllBut(scene.live.id);
    let doing = act(actor, now, until);
    let ended = a.end_sessions(id, others, EndReason::LogoutAll, &doing);
    assert!(matches!(ended.await.unwrap(), Ended::Ended(_)));
    assert_eq!(reason(&*b, scene.live.id).await, None);
    // And end itself, but only once.
    let end = async || {
        let (session, reason) = (scene.live.id, EndReason::Logout);
        let doing = act(actor, now, until);
        let ended = a.end_session(session, Some(id), reason, &doing);
        ended.await.unwrap()
    };
    assert!(matches!(end().await, Ended::Ended(list) if list.len() == 1));
    assert_eq!(end().await, Ended::ActorEnded);
    let last = open(&*a, id, now).await;
    let doing = act(Actor::Session(last.id), now, until);
    let deleted = b.delete_user(id, None, &doing);
    assert!(matches!(deleted.await.unwrap(), Deleted::Deleted(_)));
}

pub async fn dead_session_changes_no_user<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (before, (now, until)) = (picture(&*a, &scene).await, now());
    let moved = email("moved@example.org");
    let change = UserChange {
        name: Some(None),
        roles: Some(vec!["admin".to_owned()]),
        email: Some((moved.as_typed().to_owned(), moved.key().clone())),
        disabled: Some(true),
    };
    for actor in &scene.dead {
        let doing = act(*actor, now, until);
        let patched = a.change_user(scene.user.id, &change, &doing);
        assert_eq!(patched.await.unwrap(), Patched::ActorEnded, "{actor:?}");
    }
    assert_eq!(picture(&*b, &scene).await, before);
}

pub async fn dead_session_sets_no_password<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (before, (now, until)) = (picture(&*a, &scene).await, now());
    for actor in &scene.dead {
        // Also where the password is wrong: a dead session learns nothing about it.
        for n in [1, 7] {
            let set = SetPassword {
                expected: Some(hash(n).as_str().to_owned()),
                hash: hash(2),
            };
            let doing = act(*actor, now, until);
            let done = a.set_password(scene.user.id, &set, &doing);
            assert_eq!(done.await.unwrap(), PasswordSet::ActorEnded, "{actor:?}");
        }
    }
    assert_eq!(picture(&*b, &scene).await, before);
}

pub async fn dead_session_deletes_nobody<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (before, (now, until)) = (picture(&*a, &scene).await, now());
    for actor in &scene.dead {
        let doing = act(*actor, now, until);
        let deleted = a.delete_user(scene.user.id, None, &doing);
        assert_eq!(deleted.await.unwrap(), Deleted::ActorEnded, "{actor:?}");
    }
    assert_eq!(picture(&*b, &scene).await, before);
}

pub async fn dead_session_ends_no_session<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (before, (now, until)) = (picture(&*a, &scene).await, now());
    for actor in &scene.dead {
        for owner in [Some(scene.user.id), None] {
            let reason = EndReason::Revoked;
            let doing = act(*actor, now, until);
            let ended = a.end_session(scene.live.id, owner, reason, &doing);
            assert_eq!(ended.await.unwrap(), Ended::ActorEnded, "{actor:?}");
        }
    }
    assert_eq!(picture(&*b, &scene).await, before);
}

pub async fn dead_session_ends_no_sessions<S: Store>(a: Arc<S>, b: Arc<S>) {
    let scene = scene(&*a).await;
    let (before, (now, until)) = (picture(&*a, &scene).await, now());
    for actor in &scene.dead {
        for scope in [Scope::All, Scope::AllBut(session_id())] {
            let reason = EndReason::LogoutAll;
            let doing = act(*actor, now, until);
            let ended = a.end_sessions(scene.user.id, scope, reason, &doing);
            assert_eq!(ended.await.unwrap(), Ended::ActorEnded, "{actor:?}");
        }
    }
    assert_eq!(picture(&*b, &scene).await, before);
}
