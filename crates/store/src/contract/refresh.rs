use std::sync::Arc;

use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Dead, EndReason, RotationPolicy};
use jiff::SignedDuration;

use super::kit::*;
use crate::{Actor, Announcement, Grant, RefreshOutcome, Session, Store, Subject, UserChange};

async fn opened<S: Store>(store: &S) -> Session {
    let one = user(store).await;
    open(store, one.id, at(0)).await
}

pub async fn rotation_moves_the_session_on<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(0)).await;
    for generation in 0..4 {
        let now = at(100 * (i64::from(generation) + 1));
        // Finer than what is kept.
        let fine = now + SignedDuration::from_nanos(789);
        let store = if generation % 2 == 0 { &*b } else { &*a };
        let refreshed = refreshed(store, session.id, generation, fine).await;
        assert!(refreshed.rotated && !refreshed.adopted);
        let mut expected = session.clone();
        expected.state.generation = generation + 1;
        expected.state.rotated_at = now;
        expected.state.idle_expires_at = now + POLICY.idle;
        expected.last_used_at = now;
        assert_eq!(refreshed.grant, Grant::new(&expected, &one));
        let stored = a.session(session.id).await.unwrap();
        assert_eq!(stored, Some(expected));
    }
    assert_eq!(announced(&*a).await, []);
}

pub async fn retry_within_grace_gets_the_same_successor<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let first = refreshed(&*a, session.id, 0, at(100)).await;
    for second in [100, 101, 130, 40] {
        let again = refreshed(&*b, session.id, 0, at(second)).await;
        assert!(!again.rotated && !again.adopted);
        assert_eq!(again.grant, first.grant);
    }
    let stored = a.session(session.id).await.unwrap();
    assert_eq!(stored.unwrap().state, first.grant.state);
}

pub async fn retry_after_grace_closes_the_session<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    refreshed(&*a, session.id, 0, at(100)).await;
    let now = at(131);
    let closed = refresh(&*b, session.id, 0, now).await;
    let RefreshOutcome::Reused {
        user_id,
        event,
        announcements,
    } = closed
    else {
        panic!("{closed:?}")
    };
    assert!(event.is_some());
    assert_eq!(user_id, session.user_id);
    let expected = Announcement {
        subject: Subject::Session(session.id),
        expires_at: until(now),
        event,
    };
    assert_eq!(announcements, [expected]);
    assert_eq!(announced_sessions(&*a).await, [session.id]);
    for generation in [0, 1, 2] {
        let outcome = refresh(&*a, session.id, generation, now).await;
        assert_dead(&outcome, Dead::Ended(EndReason::Reuse), event);
    }
    assert_eq!(announced_sessions(&*a).await, [session.id]);
}

pub async fn older_token_within_grace_closes_the_session<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    refreshed(&*a, session.id, 0, at(100)).await;
    refreshed(&*a, session.id, 1, at(101)).await;
    let outcome = refresh(&*b, session.id, 0, at(102)).await;
    assert!(matches!(outcome, RefreshOutcome::Reused { .. }));
    assert_eq!(reason(&*a, session.id).await, Some(EndReason::Reuse));
}

pub async fn without_grace_every_second_use_is_reuse<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let strict = RotationPolicy {
        grace: SignedDuration::ZERO,
        ..POLICY
    };
    let presented = Presented {
        session: session.id,
        generation: 0,
    };
    let now = at(100);
    let first = a
        .refresh(presented, &strict, &act(Actor::Trusted, now, until(now)))
        .await;
    assert!(matches!(first.unwrap(), RefreshOutcome::Refreshed(_)));
    let second = b
        .refresh(presented, &strict, &act(Actor::Trusted, now, until(now)))
        .await;
    assert!(matches!(second.unwrap(), RefreshOutcome::Reused { .. }));
}

pub async fn token_ahead_is_adopted<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let adopted = refreshed(&*a, session.id, 7, at(100)).await;
    assert!(adopted.rotated && adopted.adopted);
    assert_eq!(adopted.grant.state.generation, 8);
    let next = refreshed(&*b, session.id, 8, at(101)).await;
    assert!(next.rotated && !next.adopted);
    let old = refresh(&*b, session.id, 0, at(101)).await;
    assert!(matches!(old, RefreshOutcome::Reused { .. }));
}

pub async fn generations_reach_their_end<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let last = refreshed(&*a, session.id, u32::MAX - 1, at(100)).await;
    assert_eq!(last.grant.state.generation, u32::MAX);
    let stored = b.session(session.id).await.unwrap().unwrap();
    assert_eq!(stored.state, last.grant.state);
    let over = refresh(&*b, session.id, u32::MAX, at(101)).await;
    assert_dead(&over, Dead::Expired, None);
}

pub async fn idle_expiry_slides_up_to_the_absolute_one<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let mut now = at(0);
    let mut generation = 0;
    while now + POLICY.idle < session.state.expires_at {
        now += POLICY.idle - SignedDuration::from_secs(1);
        let refreshed = refreshed(&*a, session.id, generation, now).await;
        let slid = (now + POLICY.idle).min(session.state.expires_at);
        assert_eq!(refreshed.grant.state.idle_expires_at, slid);
        generation += 1;
    }
    let over = refresh(&*b, session.id, generation, session.state.expires_at).await;
    assert_dead(&over, Dead::Expired, None);
}

pub async fn expired_session_is_dead<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let idle = session.state.idle_expires_at;
    for (generation, now) in [(0, idle), (5, idle), (0, session.state.expires_at)] {
        let outcome = refresh(&*b, session.id, generation, now).await;
        assert_dead(&outcome, Dead::Expired, None);
    }
    assert_eq!(a.session(session.id).await.unwrap(), Some(session.clone()));
    let tick = SignedDuration::from_micros(1);
    refreshed(&*b, session.id, 0, idle - tick).await;
}

pub async fn ended_session_is_dead_for_its_reason<S: Store>(a: Arc<S>, b: Arc<S>) {
    for reason in [
        EndReason::Logout,
        EndReason::LogoutAll,
        EndReason::Revoked,
        EndReason::PasswordChanged,
        EndReason::Reuse,
        EndReason::UserDisabled,
        EndReason::Operator,
    ] {
        let session = opened(&*a).await;
        let now = at(1);
        let doing = act(Actor::Trusted, now, until(now));
        let ended = a.end_session(session.id, None, reason, &doing);
        ended.await.unwrap();
        for generation in [0, 1] {
            let outcome = refresh(&*b, session.id, generation, at(2)).await;
            assert_dead(&outcome, Dead::Ended(reason), Some(doing.event()));
        }
    }
}

pub async fn unknown_session<S: Store>(a: Arc<S>, _: Arc<S>) {
    opened(&*a).await;
    let outcome = refresh(&*a, session_id(), 0, at(1)).await;
    assert_eq!(outcome, RefreshOutcome::Unknown);
}

pub async fn answers_carry_the_user_as_stored<S: Store>(a: Arc<S>, b: Arc<S>) {
    let session = opened(&*a).await;
    let change = UserChange {
        roles: Some(vec!["admin".to_owned()]),
        ..UserChange::default()
    };
    let doing = act(Actor::Trusted, at(1), until(at(1)));
    let changed = a.change_user(session.user_id, &change, &doing);
    changed.await.unwrap();
    let stored = b.user(session.user_id).await.unwrap().unwrap();
    assert_eq!(stored.roles, ["admin"]);
    let grant = refreshed(&*b, session.id, 0, at(2)).await.grant;
    assert_eq!((grant.user, grant.roles), (stored.id, stored.roles));
}
