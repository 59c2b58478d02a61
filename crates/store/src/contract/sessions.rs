use std::net::IpAddr;
use std::sync::Arc;

use countersign_domain::rotation::{EndReason, SessionState};
use jiff::{SignedDuration, Timestamp};

use super::kit::*;
use crate::{
    Act, Actor, Announcement, Ended, MAX_SESSIONS, Opened, Scope, Session, SignInProof, Store,
    Subject, UserChange,
};

pub async fn opened_session_is_found_again<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let now = at(5);
    let mut new = new_session(one.id, now);
    new.ip = Some("2001:db8::7".parse::<IpAddr>().unwrap());
    new.amr = vec!["pwd".to_owned(), "otp".to_owned()];
    let expected = Session {
        id: new.id,
        user_id: one.id,
        state: SessionState {
            generation: 0,
            rotated_at: now,
            idle_expires_at: new.idle_expires_at,
            expires_at: new.expires_at,
            ended: None,
        },
        created_at: now,
        last_used_at: now,
        ip: new.ip,
        user_agent: new.user_agent.clone(),
        amr: new.amr.clone(),
        auth_time: now,
        ended_by: None,
    };
    // Finer than what is kept.
    let fine = now + SignedDuration::from_nanos(789);
    let opened = a
        .open_session(&new, &proof(1), &act(Actor::Trusted, fine, until(fine)))
        .await
        .unwrap();
    assert!(
        matches!(&opened, Opened::Opened(session, user, ended)
            if *session == expected && user.id == expected.user_id && ended.is_empty()),
        "{opened:?}"
    );
    assert_eq!(b.session(new.id).await.unwrap(), Some(expected));
    let user = b.user(one.id).await.unwrap().unwrap();
    assert_eq!(user.last_sign_in_at, Some(now));
    assert_eq!(user.updated_at, one.updated_at);
    assert_eq!(b.session(session_id()).await.unwrap(), None);
}

pub async fn session_without_details<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let mut new = new_session(one.id, at(1));
    (new.ip, new.user_agent, new.amr) = (None, None, vec![]);
    let opened = a
        .open_session(&new, &proof(1), &act(Actor::Trusted, at(1), until(at(1))))
        .await
        .unwrap();
    let stored = b.session(new.id).await.unwrap().unwrap();
    assert!(
        matches!(&opened, Opened::Opened(session, user, ended)
            if *session == stored && user.id == stored.user_id && ended.is_empty()),
        "{opened:?}"
    );
    assert_eq!(
        (stored.ip, stored.user_agent, stored.amr),
        (None, None, vec![])
    );
}

pub async fn rehash_replaces_the_proof<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let rehashing = SignInProof {
        rehash: Some(hash(2)),
        ..proof(1)
    };
    let new = new_session(one.id, at(1));
    let opened = a
        .open_session(&new, &rehashing, &act(Actor::Trusted, at(1), until(at(1))))
        .await
        .unwrap();
    assert!(matches!(opened, Opened::Opened(..)));
    let stored = b.credentials(one.id).await.unwrap().unwrap().password_hash;
    assert_eq!(stored.unwrap(), hash(2).as_str());
    let new = new_session(one.id, at(2));
    let opened = b
        .open_session(&new, &proof(1), &act(Actor::Trusted, at(2), until(at(2))))
        .await
        .unwrap();
    assert_eq!(opened, Opened::ProofStale);
    let opened = b
        .open_session(&new, &proof(2), &act(Actor::Trusted, at(2), until(at(2))))
        .await
        .unwrap();
    assert!(matches!(opened, Opened::Opened(..)));
}

pub async fn stale_proof_opens_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let changed = user(&*a).await;
    let disabled = user(&*a).await;
    let disable = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    let doing = act(Actor::Trusted, at(1), until(at(1)));
    let patched = a.change_user(disabled.id, &disable, &doing);
    patched.await.unwrap();
    let mut without = new_user(at(0));
    without.password_hash = None;
    create(&*a, &without, at(0)).await;
    let unknown = new_user(at(0)).id;
    for (user, n) in [
        (changed.id, 9),
        (disabled.id, 1),
        (without.id, 1),
        (unknown, 1),
    ] {
        let new = new_session(user, at(2));
        let rehashing = SignInProof {
            rehash: Some(hash(2)),
            ..proof(n)
        };
        let opened = a
            .open_session(&new, &rehashing, &act(Actor::Trusted, at(2), until(at(2))))
            .await
            .unwrap();
        assert_eq!(opened, Opened::ProofStale);
        assert_eq!(b.session(new.id).await.unwrap(), None);
    }
    let stored = b.credentials(changed.id).await.unwrap().unwrap();
    assert_eq!(stored.password_hash.unwrap(), hash(1).as_str());
    assert_eq!(stored.user.last_sign_in_at, None);
}

pub async fn too_many_sessions_end_the_oldest<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let untouched = open(&*a, other.id, at(0)).await;
    let mut opened = Vec::new();
    for second in 0..i64::from(MAX_SESSIONS) {
        opened.push(open(&*a, one.id, at(second)).await.id);
    }
    // On an instance whose clock is behind: the new one stays although it looks the oldest.
    let new = new_session(one.id, at(-50));
    let proof = proof(1);
    let doing = act(Actor::Trusted, at(-50), until(at(-50)));
    let outcome = b.open_session(&new, &proof, &doing);
    let Opened::Opened(_, _, announcements) = outcome.await.unwrap() else {
        panic!("the proof is stale");
    };
    assert_eq!(subjects(&announcements), [Subject::Session(opened[0])]);
    let first = a.session(opened[0]).await.unwrap().unwrap();
    assert_eq!(first.state.ended, Some(EndReason::TooMany));
    for live in [opened[1], new.id, untouched.id] {
        assert_eq!(a.session(live).await.unwrap().unwrap().state.ended, None);
    }
    let limit = MAX_SESSIONS + 10;
    let live = a.live_sessions(one.id, None, limit, at(1)).await.unwrap();
    assert_eq!(live.len(), MAX_SESSIONS as usize);
}

pub async fn live_sessions_are_newest_first<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    open(&*a, other.id, at(3)).await;
    let mut sessions = Vec::new();
    // Two of the same moment: the id decides between them.
    for second in [4, 1, 3, 3, 2] {
        sessions.push(open(&*a, one.id, at(second)).await);
    }
    sessions.sort_by_key(|session| (session.created_at, session.id));
    sessions.reverse();
    let listed = b.live_sessions(one.id, None, 200, at(5)).await.unwrap();
    assert_eq!(listed, sessions);
    for limit in [1, 2, 3] {
        let mut pages = Vec::new();
        let mut after = None;
        loop {
            let page = b.live_sessions(one.id, after, limit, at(5)).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id));
            pages.extend(page);
        }
        assert_eq!(pages, sessions, "by {limit}");
    }
}

pub async fn live_sessions_leave_out_the_dead<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let ended = open(&*a, one.id, at(0)).await;
    logout(&*a, ended.id, at(1)).await;
    let idle = open(&*a, one.id, at(0)).await;
    let mut new = new_session(one.id, at(0));
    new.idle_expires_at = at(2 * ABSOLUTE);
    let opened = a
        .open_session(&new, &proof(1), &act(Actor::Trusted, at(0), until(at(0))))
        .await
        .unwrap();
    assert!(matches!(opened, Opened::Opened(..)));
    let listed = async |now: Timestamp| -> Vec<_> {
        let sessions = b.live_sessions(one.id, None, 200, now).await.unwrap();
        sessions.into_iter().map(|session| session.id).collect()
    };
    let tick = SignedDuration::from_micros(1);
    let idles_out = idle.state.idle_expires_at;
    assert_same(&listed(idles_out - tick).await, &[idle.id, new.id]);
    assert_same(&listed(idles_out).await, &[new.id]);
    assert_same(&listed(new.expires_at - tick).await, &[new.id]);
    assert_same(&listed(new.expires_at).await, &[]);
}

async fn end<S: Store>(store: &S, session: &Session, second: i64) -> Ended {
    end_by(
        store,
        session,
        &act(Actor::Trusted, at(second), until(at(second))),
    )
    .await
}

async fn end_by<S: Store>(store: &S, session: &Session, doing: &Act) -> Ended {
    let (reason, owner) = (EndReason::Revoked, Some(session.user_id));
    let ended = store.end_session(session.id, owner, reason, doing);
    ended.await.unwrap()
}

pub async fn ending_one_session<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let (ended, kept) = (
        open(&*a, one.id, at(0)).await,
        open(&*a, one.id, at(0)).await,
    );
    let doing = act(Actor::Trusted, at(1), until(at(1)));
    let expected = Announcement {
        subject: Subject::Session(ended.id),
        expires_at: until(at(1)),
        event: Some(doing.event()),
    };
    assert_eq!(
        end_by(&*a, &ended, &doing).await,
        Ended::Ended(vec![expected.clone()])
    );
    assert_eq!(reason(&*b, ended.id).await, Some(EndReason::Revoked));
    assert_eq!(reason(&*b, kept.id).await, None);
    let stored = announced(&*b).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].announcement, expected);
}

pub async fn ending_twice_keeps_the_first_reason<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(0)).await;
    logout(&*a, session.id, at(1)).await;
    assert_eq!(end(&*b, &session, 2).await, Ended::Ended(vec![]));
    assert_eq!(reason(&*b, session.id).await, Some(EndReason::Logout));
    assert_eq!(announced(&*b).await.len(), 1);
}

pub async fn ending_a_foreign_or_unknown_session_is_not_found<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let foreign = open(&*a, other.id, at(0)).await;
    let own = open(&*a, one.id, at(0)).await;
    for id in [foreign.id, session_id()] {
        let doing = act(Actor::Session(own.id), at(1), until(at(1)));
        let ended = a.end_session(id, Some(one.id), EndReason::Revoked, &doing);
        assert_eq!(ended.await.unwrap(), Ended::NotFound);
    }
    assert_eq!(reason(&*b, foreign.id).await, None);
    assert_eq!(announced(&*b).await, []);
}

pub async fn ending_all_or_all_others<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let foreign = open(&*a, other.id, at(0)).await;
    let mut ids = Vec::new();
    for second in 0..3 {
        ids.push(open(&*a, one.id, at(second)).await.id);
    }
    let end = async |scope, second| {
        let (reason, actor, now) = (EndReason::LogoutAll, Actor::Trusted, at(second));
        let doing = act(actor, now, until(now));
        let ended = a.end_sessions(one.id, scope, reason, &doing);
        match ended.await.unwrap() {
            Ended::Ended(announcements) => subjects(&announcements),
            other => panic!("{other:?}"),
        }
    };
    let others = [Subject::Session(ids[0]), Subject::Session(ids[2])];
    assert_same(&end(Scope::AllBut(ids[1]), 4).await, &others);
    assert_eq!(reason(&*b, ids[0]).await, Some(EndReason::LogoutAll));
    assert_eq!(reason(&*b, ids[1]).await, None);
    let last = [Subject::Session(ids[1])];
    // At the same moment as before: what was announced is not announced again.
    assert_same(&end(Scope::All, 4).await, &last);
    assert_same(&end(Scope::All, 5).await, &[]);
    assert_eq!(reason(&*b, foreign.id).await, None);
    assert_same(&announced_sessions(&*b).await, &ids);
}

pub async fn ending_sessions_of_unknown_user_is_not_found<S: Store>(a: Arc<S>, _: Arc<S>) {
    let (id, reason) = (new_user(at(0)).id, EndReason::Operator);
    let doing = act(Actor::Trusted, at(0), until(at(0)));
    let ended = a.end_sessions(id, Scope::All, reason, &doing);
    assert_eq!(ended.await.unwrap(), Ended::NotFound);
}

/// Another instance, whose clock is behind, may have refreshed it still.
pub async fn idled_out_sessions_are_ended_too<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(0)).await;
    let now = session.state.idle_expires_at;
    let (reason_given, actor) = (EndReason::LogoutAll, Actor::Trusted);
    let doing = act(actor, now, until(now));
    let ended = a.end_sessions(one.id, Scope::All, reason_given, &doing);
    let Ended::Ended(announcements) = ended.await.unwrap() else {
        panic!("not ended");
    };
    assert_eq!(subjects(&announcements), [Subject::Session(session.id)]);
    assert_eq!(reason(&*b, session.id).await, Some(reason_given));
}
