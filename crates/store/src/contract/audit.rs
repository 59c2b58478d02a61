use std::net::IpAddr;
use std::sync::Arc;

use countersign_domain::audit::{
    Draft, Hash, Kind, Mark, MarkKind, Personal, Row, Salt, Sealed, link,
};
use countersign_domain::rotation::EndReason;
use countersign_domain::{EventId, SessionId, UserId};
use jiff::Timestamp;

use super::kit::*;
use crate::{
    Act, Actor, Chain, Created, Deleted, Ended, EventQuery, InstallKey, Link, NewKey, Opened,
    PasswordSet, Patched, RefreshOutcome, Scope, SetPassword, SignInProof, Store, StoredEvent,
    Subject, UserChange,
};

/// What an operator does at this second.
fn doing(second: i64) -> Act {
    act(Actor::Trusted, at(second), until(at(second)))
}

/// What a session does at this second.
fn by(session: SessionId, second: i64) -> Act {
    act(Actor::Session(session), at(second), until(at(second)))
}

/// An event about nobody.
fn draft(second: i64) -> Draft {
    Draft {
        kind: Kind::LoginFailed,
        ..doing(second).draft
    }
}

fn about(user: UserId, second: i64) -> Draft {
    Draft {
        user: Some(user),
        ..draft(second)
    }
}

async fn append<S: Store>(store: &S, drafts: &[Draft]) {
    store.append_events(drafts, &ink()).await.unwrap();
}

async fn all<S: Store>(store: &S) -> Vec<StoredEvent> {
    listed(store, &EventQuery::default()).await
}

async fn listed<S: Store>(store: &S, query: &EventQuery) -> Vec<StoredEvent> {
    store.events(query, None, 1000).await.unwrap()
}

async fn ids<S: Store>(store: &S, query: &EventQuery) -> Vec<EventId> {
    let events = listed(store, query).await.into_iter();
    events.map(|event| event.row.id).collect()
}

async fn event<S: Store>(store: &S, id: EventId) -> StoredEvent {
    store.event(id).await.unwrap().unwrap()
}

/// Counts events from where it was made on.
struct Count(usize);

impl Count {
    async fn begin<S: Store>(store: &S) -> Self {
        Self(all(store).await.len())
    }

    /// Asserts that this act has left one event since the last look, and answers it.
    async fn one<S: Store>(&mut self, store: &S, act: &Act) -> StoredEvent {
        let events = all(store).await;
        self.0 += 1;
        assert_eq!(events.len(), self.0);
        let event = event(store, act.event()).await;
        assert_eq!(event.row.kind, act.draft.kind.as_str());
        assert!(ink().wrote(&event.row));
        assert_eq!(event.row.at, act.now);
        assert_eq!(event.position, None);
        event
    }

    /// Asserts that nothing has left any.
    async fn none<S: Store>(&self, store: &S) {
        assert_eq!(all(store).await.len(), self.0);
    }
}

fn personal(event: &StoredEvent) -> Option<Personal> {
    ink().read(&event.row, event.salt.as_ref())
}

/// The sessions that an event says it ended.
fn ended(event: &StoredEvent) -> Vec<String> {
    let details: serde_json::Value = serde_json::from_str(&event.row.details).unwrap();
    let ended = details.get("ended").and_then(serde_json::Value::as_array);
    let mut ended: Vec<_> = ended
        .into_iter()
        .flatten()
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    ended.sort();
    ended
}

fn texts(sessions: &[SessionId]) -> Vec<String> {
    let mut texts: Vec<_> = sessions.iter().map(SessionId::to_string).collect();
    texts.sort();
    texts
}

pub async fn registration_leaves_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut count = Count::begin(&*b).await;
    let (new, registering) = (new_user(at(0)), doing(0));
    let created = a.create_user(&new, &registering).await.unwrap();
    assert!(matches!(created, Created::Created(_)));
    let event = count.one(&*b, &registering).await;
    assert_eq!(event.row.user, Some(new.id));
    assert_eq!(event.row.session, None);
    assert_eq!(event.salt, Some(new.audit_salt.clone()));
    assert_eq!(personal(&event), Some(registering.draft.personal.clone()));

    // The address is taken.
    let mut again = new_user(at(1));
    again.email_key = new.email_key;
    let taken = a.create_user(&again, &doing(1)).await.unwrap();
    assert_eq!(taken, Created::EmailTaken);
    count.none(&*b).await;
}

pub async fn sign_in_leaves_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let mut count = Count::begin(&*b).await;
    let (new, signing_in) = (new_session(user.id, at(1)), doing(1));
    let opened = a.open_session(&new, &proof(1), &signing_in).await.unwrap();
    assert!(matches!(opened, Opened::Opened(..)));
    let event = count.one(&*b, &signing_in).await;
    assert_eq!(
        (event.row.user, event.row.session),
        (Some(user.id), Some(new.id))
    );
    assert_eq!(ended(&event), texts(&[]));
    assert_eq!(personal(&event), Some(signing_in.draft.personal.clone()));

    let stale = a
        .open_session(&new_session(user.id, at(2)), &proof(2), &doing(2))
        .await;
    assert_eq!(stale.unwrap(), Opened::ProofStale);
    count.none(&*b).await;
}

pub async fn sign_in_names_the_session_that_it_ends<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let oldest = open(&*a, user.id, at(1)).await;
    for second in 2..=100 {
        open(&*a, user.id, at(second)).await;
    }
    let mut count = Count::begin(&*b).await;
    let (new, signing_in) = (new_session(user.id, at(200)), doing(200));
    let proof = proof(1);
    a.open_session(&new, &proof, &signing_in).await.unwrap();
    let event = count.one(&*b, &signing_in).await;
    assert_eq!(ended(&event), texts(&[oldest.id]));
    let over = b.session(oldest.id).await.unwrap().unwrap();
    assert_eq!(over.ended_by, Some(signing_in.event()));
    let told = announced(&*b).await;
    assert_eq!(told[0].announcement.event, Some(signing_in.event()));
}

pub async fn change_of_a_user_leaves_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let session = open(&*a, one.id, at(1)).await;
    let over = open(&*a, one.id, at(1)).await;
    logout(&*a, over.id, at(2)).await;
    let mut count = Count::begin(&*b).await;
    let name = UserChange {
        name: Some(Some("Ada".to_owned())),
        ..UserChange::default()
    };
    let changing = by(session.id, 3);
    a.change_user(one.id, &name, &changing).await.unwrap();
    let event = count.one(&*b, &changing).await;
    assert_eq!(event.row.user, Some(one.id));
    assert_eq!(personal(&event), Some(changing.draft.personal.clone()));

    let gone = UserId::new(at(0), [99; 10]);
    let unknown = a.change_user(gone, &name, &doing(4)).await.unwrap();
    assert_eq!(unknown, Patched::NotFound);
    let dead = a.change_user(one.id, &name, &by(over.id, 4)).await.unwrap();
    assert_eq!(dead, Patched::ActorEnded);
    let address = email(&other.email);
    let taken = UserChange {
        email: Some((address.as_typed().to_owned(), address.key().clone())),
        ..UserChange::default()
    };
    let taken = a.change_user(one.id, &taken, &doing(4)).await.unwrap();
    assert_eq!(taken, Patched::EmailTaken);
    count.none(&*b).await;
}

pub async fn change_of_roles_says_from_what_to_what<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    open(&*a, user.id, at(1)).await;
    let mut count = Count::begin(&*b).await;
    let roles = UserChange {
        roles: Some(vec!["admin".to_owned()]),
        ..UserChange::default()
    };
    let changing = doing(2);
    let changed = a.change_user(user.id, &roles, &changing).await.unwrap();
    let event = count.one(&*b, &changing).await;
    let details: serde_json::Value = serde_json::from_str(&event.row.details).unwrap();
    assert_eq!(
        details["roles_before"],
        serde_json::json!(["reader", "wr\"iter"])
    );
    assert_eq!(details["roles"], serde_json::json!(["admin"]));
    assert_eq!(ended(&event), texts(&[]));
    // Access tokens from before are refused, and told by which event.
    let Patched::Changed(_, announcements) = changed else {
        panic!("{changed:?}")
    };
    let refused = announcements.iter().find(|one| {
        let not_before = at(2);
        one.subject
            == Subject::User {
                id: user.id,
                not_before,
            }
    });
    assert_eq!(refused.unwrap().event, Some(changing.event()));
}

pub async fn disabling_names_the_sessions_that_it_ends<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let live = [
        open(&*a, user.id, at(1)).await.id,
        open(&*a, user.id, at(2)).await.id,
    ];
    let over = open(&*a, user.id, at(2)).await;
    logout(&*a, over.id, at(3)).await;
    let mut count = Count::begin(&*b).await;
    let disabled = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    let disabling = doing(4);
    let changed = a.change_user(user.id, &disabled, &disabling).await.unwrap();
    let event = count.one(&*b, &disabling).await;
    assert_eq!(ended(&event), texts(&live));
    for id in live {
        let session = b.session(id).await.unwrap().unwrap();
        assert_eq!(session.ended_by, Some(disabling.event()));
    }
    let Patched::Changed(_, announcements) = changed else {
        panic!("{changed:?}")
    };
    assert!(
        announcements
            .iter()
            .all(|one| one.event == Some(disabling.event()))
    );
    let stored = announced(&*b).await;
    let told = stored
        .iter()
        .filter(|one| one.announcement.event == Some(disabling.event()));
    assert_eq!(told.count(), announcements.len());
}

pub async fn setting_a_password_leaves_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let (own, other) = (
        open(&*a, user.id, at(1)).await,
        open(&*a, user.id, at(1)).await,
    );
    let mut count = Count::begin(&*b).await;
    let set = |expected: u64, new: u64| SetPassword {
        expected: Some(hash(expected).as_str().to_owned()),
        hash: hash(new),
    };
    let changing = by(own.id, 2);
    let done = a.set_password(user.id, &set(1, 2), &changing).await;
    assert!(matches!(done.unwrap(), PasswordSet::Set(_)));
    let event = count.one(&*b, &changing).await;
    assert_eq!(event.row.user, Some(user.id));
    assert_eq!(ended(&event), texts(&[other.id]));
    assert_eq!(personal(&event), Some(changing.draft.personal.clone()));

    let conflict = a.set_password(user.id, &set(1, 3), &by(own.id, 3)).await;
    assert_eq!(conflict.unwrap(), PasswordSet::Conflict);
    let dead = a.set_password(user.id, &set(2, 3), &by(other.id, 3)).await;
    assert_eq!(dead.unwrap(), PasswordSet::ActorEnded);
    let gone = UserId::new(at(0), [99; 10]);
    let unknown = a.set_password(gone, &set(2, 3), &doing(3)).await;
    assert_eq!(unknown.unwrap(), PasswordSet::NotFound);
    count.none(&*b).await;
}

pub async fn ending_sessions_leaves_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (user, stranger) = (user(&*a).await, user(&*a).await);
    let first = open(&*a, user.id, at(1)).await.id;
    let rest = [
        open(&*a, user.id, at(1)).await.id,
        open(&*a, user.id, at(1)).await.id,
    ];
    let mut count = Count::begin(&*b).await;
    let reason = EndReason::Revoked;
    let ending = by(rest[0], 2);
    let done = a.end_session(first, Some(user.id), reason, &ending).await;
    let Ended::Ended(announcements) = done.unwrap() else {
        panic!("not ended")
    };
    assert_eq!(announcements[0].event, Some(ending.event()));
    let event = count.one(&*b, &ending).await;
    assert_eq!(
        (event.row.user, event.row.session),
        (Some(user.id), Some(first))
    );
    assert_eq!(ended(&event), texts(&[first]));
    let session = b.session(first).await.unwrap().unwrap();
    assert_eq!(session.ended_by, Some(ending.event()));

    // It has ended already, is somebody else's, or the actor is over.
    let again = a.end_session(first, Some(user.id), reason, &doing(3)).await;
    assert_eq!(again.unwrap(), Ended::Ended(vec![]));
    let foreign = a
        .end_session(rest[0], Some(stranger.id), reason, &doing(3))
        .await;
    assert_eq!(foreign.unwrap(), Ended::NotFound);
    let dead = a
        .end_session(rest[0], Some(user.id), reason, &by(first, 3))
        .await;
    assert_eq!(dead.unwrap(), Ended::ActorEnded);
    let dead = a
        .end_sessions(user.id, Scope::All, reason, &by(first, 3))
        .await;
    assert_eq!(dead.unwrap(), Ended::ActorEnded);
    let gone = UserId::new(at(0), [99; 10]);
    let unknown = a.end_sessions(gone, Scope::All, reason, &doing(3)).await;
    assert_eq!(unknown.unwrap(), Ended::NotFound);
    count.none(&*b).await;
    let kept = b.session(first).await.unwrap().unwrap();
    assert_eq!(kept.ended_by, Some(ending.event()));

    let ending = doing(4);
    let scope = Scope::AllBut(rest[1]);
    let done = a.end_sessions(user.id, scope, EndReason::LogoutAll, &ending);
    done.await.unwrap();
    let event = count.one(&*b, &ending).await;
    assert_eq!(ended(&event), texts(&rest[..1]));
}

pub async fn refreshing_leaves_none_and_reuse_one<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let session = open(&*a, user.id, at(1)).await;
    let mut count = Count::begin(&*b).await;
    refreshed(&*a, session.id, 0, at(2)).await;
    refreshed(&*a, session.id, 0, at(3)).await;
    count.none(&*b).await;
    let closing = doing(100);
    let presented = countersign_domain::refresh_token::Presented {
        session: session.id,
        generation: 0,
    };
    let outcome = a.refresh(presented, &POLICY, &closing).await.unwrap();
    let RefreshOutcome::Reused { event: told, .. } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(told, Some(closing.event()));
    let event = count.one(&*b, &closing).await;
    assert_eq!(
        (event.row.user, event.row.session),
        (Some(user.id), Some(session.id))
    );
    // The second time it is dead already, by the same event.
    let outcome = refresh(&*b, session.id, 0, at(101)).await;
    let dead = countersign_domain::rotation::Dead::Ended(EndReason::Reuse);
    assert_dead(&outcome, dead, Some(closing.event()));
    count.none(&*b).await;
}

pub async fn keys_leave_one_event<S: Store>(a: Arc<S>, b: Arc<S>) {
    let key = NewKey {
        kid: "1".to_owned(),
        algorithm: "EdDSA".to_owned(),
        public_jwk: "{}".to_owned(),
        sealed_private: vec![1],
    };
    let how = InstallKey::IfMissing {
        activates_at: at(1),
        others_expire_at: at(2),
    };
    let mut count = Count::begin(&*b).await;
    let installing = doing(0);
    assert!(
        a.install_key(Some(&key), how, &installing)
            .await
            .unwrap()
            .is_some()
    );
    let event = count.one(&*b, &installing).await;
    assert_eq!((event.row.user, event.row.session), (None, None));
    let other = NewKey {
        kid: "2".to_owned(),
        ..key
    };
    let nothing = b.install_key(Some(&other), how, &doing(1)).await.unwrap();
    assert_eq!(nothing, None);
    count.none(&*b).await;
}

/// The event is in the transaction: where it cannot be written, nothing happens.
pub async fn what_fails_leaves_none<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let taken = open(&*a, user.id, at(1)).await;
    let count = Count::begin(&*b).await;
    // The id of a session that exists breaks the transaction after the proof has been checked.
    let mut doubled = new_session(user.id, at(2));
    doubled.id = taken.id;
    let rehash = SignInProof {
        rehash: Some(hash(2)),
        ..proof(1)
    };
    assert!(a.open_session(&doubled, &rehash, &doing(2)).await.is_err());
    count.none(&*b).await;
    let stored = b.credentials(user.id).await.unwrap().unwrap();
    assert_eq!(stored.password_hash.unwrap(), hash(1).as_str());
    assert_eq!(stored.user.last_sign_in_at, Some(at(1)));
}

pub async fn appending_twice_changes_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let count = Count::begin(&*a).await;
    let drafts = [draft(1), about(user.id, 2), draft(3)];
    append(&*a, &drafts[..2]).await;
    let before = event(&*b, drafts[1].id).await;
    let mut other = drafts[1].clone();
    other.reason = Some("another");
    append(&*b, &[other, drafts[2].clone(), drafts[0].clone()]).await;
    assert_eq!(all(&*a).await.len(), count.0 + 3);
    assert_eq!(event(&*a, drafts[1].id).await.row, before.row);
    append(&*a, &[]).await;
    // The same one twice in one call.
    let twice = draft(4);
    append(&*a, &[twice.clone(), twice.clone()]).await;
    assert_eq!(all(&*a).await.len(), count.0 + 4);
}

pub async fn appended_events_are_read_back<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let mut full = about(user.id, 1);
    full.session = Some(session_id());
    full.reason = Some("invalid_credentials");
    full.personal.user_agent = Some("\u{1f511} \"'\\ \u{0} end".to_owned());
    full.details
        .insert("text".to_owned(), "\u{1f511} \"'\\ \n".into());
    let mut bare = draft(2);
    bare.personal = Personal::default();
    append(&*a, &[full.clone(), bare.clone()]).await;
    let stored = event(&*b, full.id).await;
    assert_eq!(stored.row, ink().write(&full, stored.salt.as_ref()));
    assert_eq!(personal(&stored), Some(full.personal.clone()));
    assert!(ink().wrote(&stored.row));
    let stored = event(&*b, bare.id).await;
    assert_eq!(stored.row, ink().write(&bare, None));
    assert!(ink().wrote(&stored.row));
    let unknown = b.event(draft(3).id).await.unwrap();
    assert!(unknown.is_none());
}

pub async fn events_of_an_erased_user_lose_their_personal_part<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (erased, kept) = (user(&*a).await, user(&*a).await);
    let own = open(&*a, erased.id, at(1)).await;
    let before = about(erased.id, 2);
    append(&*a, std::slice::from_ref(&before)).await;
    assert!(personal(&event(&*b, before.id).await).is_some());

    let mut deleting = by(own.id, 3);
    deleting.draft.kind = Kind::UserDeleted;
    let mut count = Count::begin(&*b).await;
    let deleted = a.delete_user(erased.id, None, &deleting).await.unwrap();
    assert!(matches!(deleted, Deleted::Deleted(_)));
    let farewell = count.one(&*b, &deleting).await;
    assert_eq!(ended(&farewell), texts(&[own.id]));
    assert!(farewell.row.personal.is_empty());
    let late = about(erased.id, 4);
    append(&*b, &[late.clone(), about(kept.id, 4)]).await;

    let of_user = EventQuery {
        user: Some(erased.id),
        ..EventQuery::default()
    };
    let events = listed(&*b, &of_user).await;
    assert_eq!(events.len(), 5);
    for event in events {
        assert_eq!(event.salt, None);
        assert_eq!(event.row.address, None);
        assert_eq!(personal(&event), None);
        assert!(ink().wrote(&event.row), "{event:?}");
    }
    assert!(event(&*b, late.id).await.row.personal.is_empty());
    let from_there = EventQuery {
        address: Some(ink().tag(IpAddr::from([192, 0, 2, 7]))),
        ..EventQuery::default()
    };
    let others = listed(&*b, &from_there).await;
    assert!(others.iter().all(|event| event.row.user != Some(erased.id)));
    assert!(others.iter().any(|event| event.row.user == Some(kept.id)));

    // Somebody who is not there was not erased, and nothing comes of it.
    let mut count = Count::begin(&*b).await;
    let gone = b.delete_user(erased.id, None, &doing(5)).await.unwrap();
    assert_eq!(gone, Deleted::NotFound);
    let wrong = hash(9);
    let conflict = b
        .delete_user(kept.id, Some(wrong.as_str()), &doing(5))
        .await;
    assert_eq!(conflict.unwrap(), Deleted::Conflict);
    count.none(&*b).await;
    let deleting = doing(6);
    a.delete_user(kept.id, None, &deleting).await.unwrap();
    count.one(&*b, &deleting).await;
}

/// However many there are.
pub async fn every_address_of_an_erased_user_is_forgotten<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (erased, kept) = (user(&*a).await, user(&*a).await);
    let drafts: Vec<_> = (0..1200).map(|n| about(erased.id, n)).collect();
    for part in drafts.chunks(300) {
        append(&*a, part).await;
    }
    append(&*a, &[about(kept.id, 1)]).await;
    a.delete_user(erased.id, None, &doing(9)).await.unwrap();
    while b.forget_addresses(erased.id).await.unwrap() {}
    let from_there = EventQuery {
        address: Some(ink().tag(IpAddr::from([192, 0, 2, 7]))),
        ..EventQuery::default()
    };
    let left = listed(&*b, &from_there).await;
    assert_eq!(left.len(), 2);
    assert!(left.iter().all(|event| event.row.user == Some(kept.id)));
    assert!(!a.forget_addresses(erased.id).await.unwrap());
}

/// Whoever commits first: either the event is there before the user goes, and its address is forgotten, or it is
/// written without.
pub async fn erasure_against_appending<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    for seed in 0..12 {
        let user = user(&*a).await;
        let drafts: Vec<_> = (0..4).map(|n| about(user.id, n)).collect();
        let writer = tokio::spawn({
            let (store, drafts) = (Arc::clone(&b), drafts.clone());
            async move {
                wander(seed).await;
                for draft in drafts {
                    append(&*store, &[draft]).await;
                }
            }
        });
        wander(seed + 100).await;
        a.delete_user(user.id, None, &doing(9)).await.unwrap();
        writer.await.unwrap();
        let of_user = EventQuery {
            user: Some(user.id),
            ..EventQuery::default()
        };
        let events = listed(&*a, &of_user).await;
        assert_eq!(events.len(), 6);
        for event in events {
            assert_eq!((event.row.address, &event.salt), (None, &None));
            assert_eq!(personal(&event), None);
        }
    }
}

pub async fn events_are_found_by_what_they_are_about<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (ada, bob) = (user(&*a).await, user(&*a).await);
    let session = session_id();
    let mut drafts = vec![
        about(ada.id, 10),
        about(ada.id, 11),
        about(bob.id, 12),
        draft(13),
        draft(14),
    ];
    drafts[1].session = Some(session);
    drafts[1].kind = Kind::SessionExpired;
    drafts[2].session = Some(session_id());
    drafts[3].personal.ip = Some("2001:db8::1".parse().unwrap());
    drafts[4].personal = Personal::default();
    append(&*a, &drafts).await;
    let of = |n: usize| drafts[n].id;
    // From after the registrations on.
    let found = async |query: EventQuery| {
        let from = query.from.unwrap_or(at(5));
        let query = EventQuery {
            from: Some(from),
            ..query
        };
        ids(&*b, &query).await
    };
    let none = EventQuery::default;
    assert_eq!(
        found(none()).await,
        [of(4), of(3), of(2), of(1), of(0)],
        "newest first"
    );
    let query = EventQuery {
        user: Some(ada.id),
        ..none()
    };
    assert_eq!(found(query).await, [of(1), of(0)]);
    let query = EventQuery {
        session: Some(session),
        ..none()
    };
    assert_eq!(found(query).await, [of(1)]);
    let query = EventQuery {
        kind: Some(Kind::SessionExpired),
        ..none()
    };
    assert_eq!(found(query).await, [of(1)]);
    let tag = |text: &str| Some(ink().tag(text.parse().unwrap()));
    let query = EventQuery {
        address: tag("192.0.2.7"),
        ..none()
    };
    assert_eq!(found(query).await, [of(2), of(1), of(0)]);
    let query = EventQuery {
        address: tag("2001:db8::ffff"),
        ..none()
    };
    assert_eq!(found(query).await, [of(3)]);
    let query = EventQuery {
        from: Some(at(11)),
        to: Some(at(13)),
        ..none()
    };
    assert_eq!(found(query).await, [of(2), of(1)]);
    let query = EventQuery {
        user: Some(ada.id),
        session: Some(session),
        kind: Some(Kind::SessionExpired),
        address: tag("192.0.2.7"),
        from: Some(at(11)),
        to: Some(at(12)),
    };
    assert_eq!(found(query.clone()).await, [of(1)]);
    // Each condition by itself takes it away.
    let others = [
        EventQuery {
            user: Some(bob.id),
            ..query.clone()
        },
        EventQuery {
            session: drafts[2].session,
            ..query.clone()
        },
        EventQuery {
            kind: Some(Kind::LoginFailed),
            ..query.clone()
        },
        EventQuery {
            address: tag("192.0.2.8"),
            ..query.clone()
        },
        EventQuery {
            from: Some(at(12)),
            ..query.clone()
        },
        EventQuery {
            to: Some(at(11)),
            ..query
        },
    ];
    for query in others {
        assert_eq!(found(query.clone()).await, [], "{query:?}");
    }
}

pub async fn pages_leave_out_none_and_repeat_none<S: Store>(a: Arc<S>, b: Arc<S>) {
    let user = user(&*a).await;
    let session = session_id();
    // Three at each of three moments.
    let mut drafts: Vec<_> = (0..9).map(|n| about(user.id, 10 + n / 3)).collect();
    for draft in &mut drafts {
        draft.session = Some(session);
    }
    append(&*a, &drafts).await;
    let from = Some(at(5));
    let none = EventQuery {
        from,
        ..EventQuery::default()
    };
    let queries = [
        none.clone(),
        EventQuery {
            user: Some(user.id),
            ..none.clone()
        },
        EventQuery {
            session: Some(session),
            ..none.clone()
        },
        EventQuery {
            kind: Some(Kind::LoginFailed),
            ..none.clone()
        },
        EventQuery {
            address: Some(ink().tag(IpAddr::from([192, 0, 2, 7]))),
            ..none
        },
    ];
    let mut expected: Vec<_> = drafts.iter().map(|draft| (draft.at, draft.id)).collect();
    expected.sort_by(|one, other| other.cmp(one));
    for query in queries {
        for limit in [1, 2, 4, 9, 20] {
            let mut found = Vec::new();
            let mut before = None;
            loop {
                let page = b.events(&query, before, limit).await.unwrap();
                assert!(page.len() <= limit as usize);
                let Some(last) = page.last() else { break };
                before = Some((last.row.at, last.row.id));
                found.extend(page.iter().map(|event| (event.row.at, event.row.id)));
            }
            assert_eq!(found, expected, "{query:?} by {limit}");
        }
    }
}

/// Gives what has none its place, as the chain goes on.
async fn sealing<S: Store>(store: &S, limit: u32) -> (Option<Mark>, Vec<Link>, Mark) {
    let head = store.chain().await.unwrap().head;
    let (mut position, mut hash) = head.as_ref().map_or((0, [0; 32]), |h| (h.position, h.hash));
    let rows = store.unsealed_events(None, limit).await.unwrap();
    let links: Vec<_> = rows
        .iter()
        .map(|row| {
            position += 1;
            hash = link(&hash, position, &row.digest());
            Link {
                id: row.id,
                position,
                hash,
            }
        })
        .collect();
    let new = mark(MarkKind::Head, position, hash);
    (head, links, new)
}

async fn seal<S: Store>(store: &S, limit: u32) -> Mark {
    let (after, links, head) = sealing(store, limit).await;
    let done = store.seal_events(after.as_ref(), &links, &head, None);
    assert!(done.await.unwrap());
    head
}

fn mark(kind: MarkKind, position: u64, hash: Hash) -> Mark {
    ink().mark(kind, position, hash, at(1000))
}

async fn sealed_after<S: Store>(store: &S, after: u64, limit: u32) -> Vec<Sealed> {
    let sealed = store.sealed_events(after, limit).await.unwrap();
    sealed.into_iter().map(|(sealed, _)| sealed).collect()
}

/// The whole chain, whose every position and hash is right.
async fn chain_of<S: Store>(store: &S) -> Vec<Sealed> {
    let sealed = sealed_after(store, 0, 10_000).await;
    let mut hash = [0; 32];
    for (sealed, position) in sealed.iter().zip(1..) {
        hash = link(&hash, position, &sealed.row.digest());
        assert_eq!((sealed.position, sealed.hash), (position, hash));
    }
    sealed
}

pub async fn events_wait_for_their_place_oldest_first<S: Store>(a: Arc<S>, b: Arc<S>) {
    let drafts: Vec<_> = [3, 1, 2].map(draft).into();
    append(&*a, &drafts).await;
    let ids = |rows: Vec<Row>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    let waiting = ids(b.unsealed_events(None, 10).await.unwrap());
    assert_eq!(waiting, [drafts[1].id, drafts[2].id, drafts[0].id]);
    assert_eq!(ids(b.unsealed_events(None, 1).await.unwrap()), waiting[..1]);
    assert_eq!(b.chain().await.unwrap(), Chain::default());
    seal(&*a, 2).await;
    assert_eq!(
        ids(b.unsealed_events(None, 10).await.unwrap()),
        waiting[2..]
    );
    assert_eq!(event(&*b, waiting[0]).await.position, Some(1));
    assert_eq!(event(&*b, waiting[2]).await.position, None);
    // What comes late stands where it was found, whatever its time.
    let late = draft(0);
    append(&*a, std::slice::from_ref(&late)).await;
    seal(&*b, 10).await;
    let order: Vec<_> = chain_of(&*a).await.iter().map(|one| one.row.id).collect();
    assert_eq!(order, [waiting[0], waiting[1], late.id, waiting[2]]);
    assert!(a.unsealed_events(None, 10).await.unwrap().is_empty());
}

pub async fn chain_says_how_far_it_goes<S: Store>(a: Arc<S>, b: Arc<S>) {
    append(&*a, &[1, 2, 3].map(draft)).await;
    let first = seal(&*a, 2).await;
    let head = |head: &Mark| Chain {
        head: Some(head.clone()),
        cut: None,
    };
    assert_eq!(b.chain().await.unwrap(), head(&first));
    let second = seal(&*b, 2).await;
    assert_eq!(a.chain().await.unwrap(), head(&second));
    assert_eq!(second.position, 3);
    let behind = sealed_after(&*a, 1, 1).await;
    assert_eq!(behind.len(), 1);
    assert_eq!(behind[0].position, 2);
    assert!(sealed_after(&*a, 3, 10).await.is_empty());
}

pub async fn chain_goes_on_only_from_its_end<S: Store>(a: Arc<S>, b: Arc<S>) {
    append(&*a, &[1, 2, 3, 4].map(draft)).await;
    let (none, links, head) = sealing(&*a, 2).await;
    assert!(
        b.seal_events(none.as_ref(), &links, &head, None)
            .await
            .unwrap()
    );
    let expected = chain_of(&*a).await;
    // Once more, from the beginning or from somewhere else.
    let (after, links, next) = sealing(&*a, 2).await;
    let elsewhere = mark(MarkKind::Head, 1, [1; 32]);
    let other_hash = mark(MarkKind::Head, 2, [1; 32]);
    for wrong in [None, Some(&elsewhere), Some(&other_hash)] {
        let done = b.seal_events(wrong, &links, &next, None).await.unwrap();
        assert!(!done, "{wrong:?}");
    }
    assert_eq!(chain_of(&*b).await, expected);
    assert_eq!(b.chain().await.unwrap().head, Some(head));
    // An event that has its place already, or is not there, gets none.
    let mut doubled = links.clone();
    doubled[1].id = expected[0].row.id;
    let mut unknown = links.clone();
    unknown[1].id = draft(9).id;
    for wrong in [doubled, unknown] {
        let done = a.seal_events(after.as_ref(), &wrong, &next, None);
        assert!(!done.await.unwrap());
        assert_eq!(chain_of(&*b).await, expected);
        assert_eq!(b.chain().await.unwrap().head, after);
    }
    let done = a.seal_events(after.as_ref(), &links, &next, None);
    assert!(done.await.unwrap());
    assert_eq!(chain_of(&*b).await.len(), 4);
}

pub async fn sealers_never_fork_the_chain<S: Store>(a: Arc<S>, b: Arc<S>) {
    warm(&a, &b).await;
    let drafts: Vec<_> = (0..60).map(draft).collect();
    append(&*a, &drafts).await;
    let sealers = (0..6_u64).map(|n| {
        let store = Arc::clone(if n % 2 == 0 { &a } else { &b });
        tokio::spawn(async move {
            let mut won = 0;
            loop {
                let (after, links, head) = sealing(&*store, 4).await;
                if links.is_empty() {
                    return won;
                }
                wander(n * 100 + head.position).await;
                let done = store.seal_events(after.as_ref(), &links, &head, None);
                won += usize::from(done.await.unwrap());
            }
        })
    });
    let mut won = 0;
    for sealer in sealers.collect::<Vec<_>>() {
        won += sealer.await.unwrap();
    }
    let chain = chain_of(&*b).await;
    assert_eq!(chain.len(), 60);
    let head = b.chain().await.unwrap().head.unwrap();
    let last = chain.last().unwrap();
    assert_eq!((head.position, head.hash), (60, last.hash));
    // Each batch was given its places once.
    assert!((15..=60).contains(&won), "{won}");
}

pub async fn checkpoints_are_kept_in_order<S: Store>(a: Arc<S>, b: Arc<S>) {
    append(&*a, &[1, 2, 3].map(draft)).await;
    let mut made = Vec::new();
    for _ in 0..3 {
        let (after, links, head) = sealing(&*a, 1).await;
        let checkpoint = mark(MarkKind::Checkpoint, head.position, head.hash);
        let done = a.seal_events(after.as_ref(), &links, &head, Some(&checkpoint));
        assert!(done.await.unwrap());
        made.push(checkpoint);
    }
    assert_eq!(b.checkpoints(0, 10).await.unwrap(), made);
    assert_eq!(b.checkpoints(1, 1).await.unwrap(), made[1..2]);
    assert_eq!(b.checkpoints(3, 10).await.unwrap(), []);
    // They are no ends.
    let head = b.chain().await.unwrap().head.unwrap();
    assert_eq!((head.kind, head.position), (MarkKind::Head, 3));
    // One of an attempt that came to nothing is not kept.
    append(&*a, &[draft(4)]).await;
    let (_, links, head) = sealing(&*a, 1).await;
    let checkpoint = mark(MarkKind::Checkpoint, 4, head.hash);
    let done = a.seal_events(None, &links, &head, Some(&checkpoint));
    assert!(!done.await.unwrap());
    assert_eq!(b.checkpoints(0, 10).await.unwrap(), made);
}

pub async fn cut_removes_what_it_says<S: Store>(a: Arc<S>, b: Arc<S>) {
    let drafts: Vec<_> = (1..=6).map(draft).collect();
    append(&*a, &drafts[..5]).await;
    for _ in 0..5 {
        let (after, links, head) = sealing(&*a, 1).await;
        let checkpoint = mark(MarkKind::Checkpoint, head.position, head.hash);
        a.seal_events(after.as_ref(), &links, &head, Some(&checkpoint))
            .await
            .unwrap();
    }
    append(&*a, &drafts[5..]).await;
    let chain = chain_of(&*a).await;
    let cut = |n: usize| mark(MarkKind::Cut, n as u64, chain[n - 1].hash);
    assert!(b.cut_events(None, &cut(2)).await.unwrap());
    assert_eq!(a.chain().await.unwrap().cut, Some(cut(2)));
    assert_eq!(sealed_after(&*a, 0, 10).await, chain[2..]);
    let left = |marks: Vec<Mark>| marks.iter().map(|mark| mark.position).collect::<Vec<_>>();
    assert_eq!(left(a.checkpoints(0, 10).await.unwrap()), [3, 4, 5]);
    // Only from the last cut on.
    for wrong in [None, Some(cut(1)), Some(mark(MarkKind::Cut, 2, [1; 32]))] {
        let done = b.cut_events(wrong.as_ref(), &cut(4)).await.unwrap();
        assert!(!done, "{wrong:?}");
    }
    assert_eq!(sealed_after(&*a, 0, 10).await, chain[2..]);
    assert!(b.cut_events(Some(&cut(2)), &cut(4)).await.unwrap());
    assert_eq!(sealed_after(&*a, 0, 10).await, chain[4..]);
    assert_eq!(a.chain().await.unwrap().cut, Some(cut(4)));
    // What has no place yet stays.
    let waiting = a.unsealed_events(None, 10).await.unwrap();
    assert_eq!(waiting[0].id, drafts[5].id);
    assert_eq!(a.chain().await.unwrap().head.unwrap().position, 5);
}

pub async fn salts_are_the_users_own<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut users = Vec::new();
    for n in 0..3 {
        let mut new = new_user(at(n));
        new.audit_salt = Salt([u8::try_from(n).unwrap() + 50; 16]);
        users.push(new.clone());
        create(&*a, &new, at(n)).await;
    }
    let drafts: Vec<_> = users.iter().map(|user| about(user.id, 9)).collect();
    append(&*b, &drafts).await;
    for (draft, user) in drafts.iter().zip(&users) {
        let stored = event(&*a, draft.id).await;
        assert_eq!(stored.salt.as_ref(), Some(&user.audit_salt));
        assert_eq!(stored.row, ink().write(draft, Some(&user.audit_salt)));
    }
}

pub async fn sealed_events_come_with_their_salts<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut new = new_user(at(0));
    new.audit_salt = Salt([51; 16]);
    let user = create(&*a, &new, at(0)).await;
    append(&*a, &[draft(1), about(user.id, 2)]).await;
    seal(&*a, 10).await;
    let salts = async || -> Vec<_> {
        let sealed = b.sealed_events(0, 10).await.unwrap();
        sealed.into_iter().map(|(_, salt)| salt).collect()
    };
    let own = Some(new.audit_salt);
    assert_eq!(salts().await, [own.clone(), None, own]);
    a.delete_user(user.id, None, &doing(3)).await.unwrap();
    assert_eq!(salts().await, [None, None, None]);
}

/// What a moment is kept as.
pub async fn times_are_whole_microseconds<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut odd = draft(1);
    odd.at = Timestamp::new(1_800_000_001, 999_999_999).unwrap();
    append(&*a, &[odd.clone()]).await;
    let stored = event(&*b, odd.id).await;
    let kept = Timestamp::new(1_800_000_001, 999_999_000).unwrap();
    assert_eq!(stored.row.at, kept);
    assert!(ink().wrote(&stored.row));
}
