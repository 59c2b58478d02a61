use std::sync::Arc;

use countersign_domain::UserId;
use countersign_domain::rotation::EndReason;
use jiff::Timestamp;

use super::kit::*;
use crate::{
    Actor, Announcement, Created, Deleted, PasswordSet, Patched, SetPassword, Store, Subject, User,
    UserChange,
};

pub async fn created_user_is_found_again<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut new = new_user(at(0));
    new.email_verified_at = Some(at(-5));
    // Finer than what is kept.
    let now = at(0) + jiff::SignedDuration::from_nanos(789);
    let created = create(&*a, &new, now).await;
    let expected = User {
        id: new.id,
        email: new.email.clone(),
        email_verified_at: Some(at(-5)),
        name: new.name.clone(),
        roles: new.roles.clone(),
        disabled_at: None,
        created_at: at(0),
        updated_at: at(0),
        last_sign_in_at: None,
    };
    assert_eq!(created, expected);
    assert_eq!(b.user(new.id).await.unwrap().unwrap(), expected);
    let by_email = b.user_by_email(&new.email_key).await.unwrap().unwrap();
    assert_eq!(by_email, expected);
    for credentials in [
        b.credentials(new.id).await.unwrap().unwrap(),
        b.credentials_by_email(&new.email_key)
            .await
            .unwrap()
            .unwrap(),
    ] {
        assert_eq!(credentials.user, expected);
        assert_eq!(credentials.password_hash.unwrap(), hash(1).as_str());
    }
}

pub async fn user_without_password_has_none<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut new = new_user(at(0));
    (new.password_hash, new.name, new.roles) = (None, None, vec![]);
    let created = create(&*a, &new, at(0)).await;
    assert_eq!((created.name, created.roles), (None, vec![]));
    let credentials = b.credentials(new.id).await.unwrap().unwrap();
    assert_eq!(credentials.password_hash, None);
}

pub async fn taken_address_creates_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let first = user(&*a).await;
    let mut second = new_user(at(1));
    second.email_key = email(&first.email).key().clone();
    let created = b
        .create_user(&second, &act(Actor::Trusted, at(1), until(at(1))))
        .await
        .unwrap();
    assert_eq!(created, Created::EmailTaken);
    assert_eq!(b.user(second.id).await.unwrap(), None);
    assert_eq!(a.user(first.id).await.unwrap(), Some(first));
}

pub async fn unknown_users_are_not_found<S: Store>(a: Arc<S>, _: Arc<S>) {
    user(&*a).await;
    let unknown = new_user(at(0));
    assert_eq!(a.user(unknown.id).await.unwrap(), None);
    assert_eq!(a.user_by_email(&unknown.email_key).await.unwrap(), None);
    assert!(a.credentials(unknown.id).await.unwrap().is_none());
    let by_email = a.credentials_by_email(&unknown.email_key).await;
    assert!(by_email.unwrap().is_none());
}

pub async fn list_is_in_order_of_age<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut users = Vec::new();
    for second in [5, 1, 3, 2, 4] {
        users.push(create(&*a, &new_user(at(second)), at(second)).await);
    }
    users.sort_by_key(|user| user.created_at);
    assert_eq!(b.list_users(None, 200).await.unwrap(), users);
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = b.list_users(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        pages.extend(page);
    }
    assert_eq!(pages, users);
}

async fn changed<S: Store>(store: &S, id: UserId, change: UserChange, second: i64) -> User {
    let now = at(second);
    let doing = act(Actor::Trusted, now, until(now));
    let patched = store.change_user(id, &change, &doing);
    match patched.await.unwrap() {
        Patched::Changed(user, announcements) => {
            let last = announcements.last().unwrap();
            assert_eq!(last.subject, Subject::UserChanged(id));
            assert_eq!(last.expires_at, until(now));
            user
        }
        other => panic!("{other:?}"),
    }
}

pub async fn change_touches_what_it_names<S: Store>(a: Arc<S>, b: Arc<S>) {
    let mut new = new_user(at(0));
    new.email_verified_at = Some(at(0));
    let mut expected = create(&*a, &new, at(0)).await;

    expected.updated_at = at(1);
    assert_eq!(
        changed(&*a, new.id, UserChange::default(), 1).await,
        expected
    );

    let roles = Some(vec!["admin".to_owned()]);
    let change = UserChange {
        roles,
        ..UserChange::default()
    };
    expected.roles = vec!["admin".to_owned()];
    expected.updated_at = at(2);
    assert_eq!(changed(&*a, new.id, change, 2).await, expected);

    let change = UserChange {
        name: Some(None),
        ..UserChange::default()
    };
    expected.name = None;
    expected.updated_at = at(3);
    assert_eq!(changed(&*a, new.id, change, 3).await, expected);

    let moved = email("Other@Example.org");
    let change = UserChange {
        name: Some(Some("New".to_owned())),
        email: Some((moved.as_typed().to_owned(), moved.key().clone())),
        ..UserChange::default()
    };
    expected.name = Some("New".to_owned());
    expected.email = moved.as_typed().to_owned();
    expected.email_verified_at = None;
    expected.updated_at = at(4);
    assert_eq!(changed(&*a, new.id, change, 4).await, expected);

    assert_eq!(b.user(new.id).await.unwrap().unwrap(), expected);
    let by_email = b.user_by_email(moved.key()).await.unwrap().unwrap();
    assert_eq!(by_email, expected);
    assert_eq!(b.user_by_email(&new.email_key).await.unwrap(), None);
    let hash_now = b.credentials(new.id).await.unwrap().unwrap().password_hash;
    assert_eq!(hash_now.unwrap(), hash(1).as_str());
}

pub async fn change_to_taken_address_changes_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (first, second) = (user(&*a).await, user(&*a).await);
    let session = open(&*a, second.id, at(1)).await;
    let second = a.user(second.id).await.unwrap().unwrap();
    let before = announced(&*a).await;
    let change = UserChange {
        name: Some(None),
        email: Some((first.email.clone(), email(&first.email).key().clone())),
        disabled: Some(true),
        ..UserChange::default()
    };
    let actor = Actor::Session(session.id);
    let doing = act(actor, at(2), until(at(2)));
    let patched = a.change_user(second.id, &change, &doing);
    assert_eq!(patched.await.unwrap(), Patched::EmailTaken);
    assert_eq!(b.user(second.id).await.unwrap().unwrap(), second);
    assert_eq!(reason(&*b, session.id).await, None);
    assert_eq!(announced(&*b).await, before);
}

pub async fn change_of_unknown_user_is_not_found<S: Store>(a: Arc<S>, _: Arc<S>) {
    let id = new_user(at(0)).id;
    let change = UserChange::default();
    let doing = act(Actor::Trusted, at(0), until(at(0)));
    let patched = a.change_user(id, &change, &doing);
    assert_eq!(patched.await.unwrap(), Patched::NotFound);
    assert_eq!(announced(&*a).await, []);
}

fn not_before(id: UserId, now: Timestamp) -> Subject {
    Subject::User {
        id,
        not_before: now,
    }
}

pub async fn disabling_ends_sessions<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let (first, second) = (
        open(&*a, one.id, at(1)).await,
        open(&*a, one.id, at(2)).await,
    );
    let foreign = open(&*a, other.id, at(1)).await;
    let disable = UserChange {
        disabled: Some(true),
        ..UserChange::default()
    };
    let now = at(3);
    let doing = act(Actor::Trusted, now, until(now));
    let patched = a.change_user(one.id, &disable, &doing);
    let Patched::Changed(user, announcements) = patched.await.unwrap() else {
        panic!("not changed");
    };
    assert_eq!((user.disabled_at, user.updated_at), (Some(now), now));
    let expected = [
        Subject::Session(first.id),
        Subject::Session(second.id),
        not_before(one.id, now),
        Subject::UserChanged(one.id),
    ];
    assert_same(&subjects(&announcements), &expected);
    let stored: Vec<Announcement> = announced(&*b)
        .await
        .into_iter()
        .map(|one| one.announcement)
        .collect();
    assert_same(&stored, &announcements);
    for session in [first.id, second.id] {
        assert_eq!(reason(&*b, session).await, Some(EndReason::UserDisabled));
    }
    assert_eq!(reason(&*b, foreign.id).await, None);

    let user = changed(&*b, one.id, disable, 4).await;
    assert_eq!(user.disabled_at, Some(now), "since when it has been so");
    let enable = UserChange {
        disabled: Some(false),
        ..UserChange::default()
    };
    let user = changed(&*b, one.id, enable, 5).await;
    assert_eq!(user.disabled_at, None);
    assert_eq!(
        reason(&*b, first.id).await,
        Some(EndReason::UserDisabled),
        "enabling revives no session"
    );
    open(&*b, one.id, at(6)).await;
}

fn set(expected: Option<u64>, n: u64) -> SetPassword {
    SetPassword {
        expected: expected.map(|n| hash(n).as_str().to_owned()),
        hash: hash(n),
    }
}

pub async fn set_password_ends_other_sessions<S: Store>(a: Arc<S>, b: Arc<S>) {
    let (one, other) = (user(&*a).await, user(&*a).await);
    let acting = open(&*a, one.id, at(1)).await;
    let ended = open(&*a, one.id, at(2)).await;
    let foreign = open(&*a, other.id, at(1)).await;
    let actor = Actor::Session(acting.id);
    let set = set(Some(1), 2);
    let doing = act(actor, at(3), until(at(3)));
    let done = a.set_password(one.id, &set, &doing);
    let expected = Announcement {
        subject: Subject::Session(ended.id),
        expires_at: until(at(3)),
        event: Some(doing.event()),
    };
    assert_eq!(done.await.unwrap(), PasswordSet::Set(vec![expected]));
    assert_eq!(announced_sessions(&*b).await, [ended.id]);
    let why = reason(&*b, ended.id).await;
    assert_eq!(why, Some(EndReason::PasswordChanged));
    assert_eq!(reason(&*b, acting.id).await, None);
    assert_eq!(reason(&*b, foreign.id).await, None);
    let stored = b.credentials(one.id).await.unwrap().unwrap().password_hash;
    assert_eq!(stored.unwrap(), hash(2).as_str());
    refreshed(&*b, acting.id, 0, at(4)).await;
}

pub async fn set_password_by_operator_ends_all_sessions<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let (first, second) = (
        open(&*a, one.id, at(1)).await,
        open(&*a, one.id, at(2)).await,
    );
    let actor = Actor::Trusted;
    let set = set(None, 2);
    let doing = act(actor, at(3), until(at(3)));
    let done = a.set_password(one.id, &set, &doing);
    let PasswordSet::Set(announcements) = done.await.unwrap() else {
        panic!("not set");
    };
    let expected = [Subject::Session(first.id), Subject::Session(second.id)];
    assert_same(&subjects(&announcements), &expected);
    for session in [first.id, second.id] {
        assert_eq!(reason(&*b, session).await, Some(EndReason::PasswordChanged));
    }
}

pub async fn set_password_conflict_changes_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let session = open(&*a, one.id, at(1)).await;
    let actor = Actor::Trusted;
    let set = set(Some(7), 2);
    let doing = act(actor, at(3), until(at(3)));
    let done = a.set_password(one.id, &set, &doing);
    assert_eq!(done.await.unwrap(), PasswordSet::Conflict);
    let stored = b.credentials(one.id).await.unwrap().unwrap().password_hash;
    assert_eq!(stored.unwrap(), hash(1).as_str());
    assert_eq!(reason(&*b, session.id).await, None);
    assert_eq!(announced(&*b).await, []);
}

pub async fn set_password_of_unknown_user_is_not_found<S: Store>(a: Arc<S>, _: Arc<S>) {
    let id = new_user(at(0)).id;
    let set = set(None, 2);
    let doing = act(Actor::Trusted, at(0), until(at(0)));
    let done = a.set_password(id, &set, &doing);
    assert_eq!(done.await.unwrap(), PasswordSet::NotFound);
}

pub async fn deletion_leaves_announcements_only<S: Store>(a: Arc<S>, b: Arc<S>) {
    let new = new_user(at(0));
    let one = create(&*a, &new, at(0)).await;
    let session = open(&*a, one.id, at(1)).await;
    let now = at(3);
    let actor = Actor::Session(session.id);
    let right = hash(1);
    let doing = act(actor, now, until(now));
    let deleted = a.delete_user(one.id, Some(right.as_str()), &doing);
    let Deleted::Deleted(announcements) = deleted.await.unwrap() else {
        panic!("not deleted");
    };
    let expected = [
        Subject::Session(session.id),
        not_before(one.id, now),
        Subject::UserChanged(one.id),
    ];
    assert_same(&subjects(&announcements), &expected);
    assert_eq!(announced(&*b).await.len(), 3);
    assert_eq!(b.user(one.id).await.unwrap(), None);
    assert!(
        b.credentials_by_email(&new.email_key)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(b.session(session.id).await.unwrap(), None);
    assert_eq!(
        refresh(&*b, session.id, 0, at(4)).await,
        crate::RefreshOutcome::Unknown
    );

    let mut again = new_user(at(5));
    (again.email, again.email_key) = (new.email.clone(), new.email_key.clone());
    create(&*b, &again, at(5)).await;
    assert_eq!(
        a.session(session.id).await.unwrap(),
        None,
        "registering again revives nothing"
    );
}

pub async fn deletion_conflict_changes_nothing<S: Store>(a: Arc<S>, b: Arc<S>) {
    let one = user(&*a).await;
    let stale = hash(7);
    let expected = Some(stale.as_str());
    let doing = act(Actor::Trusted, at(1), until(at(1)));
    let deleted = a.delete_user(one.id, expected, &doing);
    assert_eq!(deleted.await.unwrap(), Deleted::Conflict);
    assert_eq!(b.user(one.id).await.unwrap(), Some(one));
    assert_eq!(announced(&*b).await, []);
}

pub async fn deletion_of_unknown_user_is_not_found<S: Store>(a: Arc<S>, _: Arc<S>) {
    let id = new_user(at(0)).id;
    let doing = act(Actor::Trusted, at(0), until(at(0)));
    let deleted = a.delete_user(id, None, &doing);
    assert_eq!(deleted.await.unwrap(), Deleted::NotFound);
    assert_eq!(announced(&*a).await, []);
}
