use async_trait::async_trait;
use countersign_domain::email::EmailKey;
use countersign_domain::rotation::EndReason;
use countersign_domain::{SessionId, UserId};
use countersign_store::{
    Act, Actor, Announcement, Created, Credentials, Deleted, NewUser, PasswordSet, Patched,
    SetPassword, StoreError, Subject, User, UserChange, Users,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::announcements::{announce, announce_sessions, announce_user, sessions_of};
use crate::audit::append;
use crate::driver::{DbError, Tx, Value, Verdict};
use crate::sessions::end_all;
use crate::{SqlStore, locks, records, statements};

/// Addresses that are taken out in one transaction.
pub(crate) const FORGOTTEN_AT_ONCE: u32 = 500;

#[async_trait]
impl Users for SqlStore {
    async fn create_user(&self, new: &NewUser, act: &Act) -> Result<Created, StoreError> {
        let values = vec![
            new.id.0.into(),
            new.email.as_str().into(),
            new.email_key.as_str().into(),
            new.email_verified_at.into(),
            new.password_hash.as_ref().map(|hash| hash.as_str()).into(),
            new.name.as_deref().into(),
            Value::Json(records::names(&new.roles)),
            act.now.into(),
            new.audit_salt.0.as_slice().into(),
        ];
        let row = act.row(new.id, Some(&new.audit_salt), None);
        self.detached("create_user", |db| async move {
            let mut tx = db.begin().await?;
            let rows = tx.run(statements::USER_CREATE, values).await?;
            let user = records::first(&rows, |row| records::user(&mut row.columns()))?;
            let verdict = match user {
                None => Verdict::Undo(Created::EmailTaken),
                Some(user) => {
                    append(&mut tx, &[row]).await?;
                    Verdict::Commit(Created::Created(user))
                }
            };
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let rows = self.read("user", statements::USER_BY_ID, vec![id.0.into()]);
        let rows = rows.await?;
        Ok(records::first(&rows, |row| {
            records::user(&mut row.columns())
        })?)
    }

    async fn user_by_email(&self, key: &EmailKey) -> Result<Option<User>, StoreError> {
        let values = vec![key.as_str().into()];
        let rows = self
            .read("user_by_email", statements::USER_BY_EMAIL, values)
            .await?;
        Ok(records::first(&rows, |row| {
            records::user(&mut row.columns())
        })?)
    }

    async fn credentials_by_email(
        &self,
        key: &EmailKey,
    ) -> Result<Option<Credentials>, StoreError> {
        let values = vec![key.as_str().into()];
        let rows = self.read(
            "credentials_by_email",
            statements::CREDENTIALS_BY_EMAIL,
            values,
        );
        Ok(records::first(&rows.await?, records::credentials)?)
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        let values = vec![id.0.into()];
        let rows = self.read("credentials", statements::CREDENTIALS_BY_ID, values);
        Ok(records::first(&rows.await?, records::credentials)?)
    }

    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let values = vec![after.into(), records::limit(limit)];
        let rows = self
            .read("list_users", statements::USERS_AFTER, values)
            .await?;
        Ok(records::all(&rows, |row| {
            records::user(&mut row.columns())
        })?)
    }

    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        act: &Act,
    ) -> Result<Patched, StoreError> {
        let (change, act) = (change.clone(), act.clone());
        self.detached("change_user", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = change_in(&mut tx, id, &change, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn outdate_tokens(&self, id: UserId, act: &Act) -> Result<Vec<Announcement>, StoreError> {
        let act = act.clone();
        self.detached("outdate_tokens", |db| async move {
            let mut tx = db.begin().await?;
            let announcement = announce_user(&mut tx, id, &act).await?;
            tx.commit().await?;
            Ok(vec![announcement])
        })
        .await
    }

    async fn set_password(
        &self,
        id: UserId,
        set: &SetPassword,
        act: &Act,
    ) -> Result<PasswordSet, StoreError> {
        let (set, act) = (set.clone(), act.clone());
        self.detached("set_password", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = set_password_in(&mut tx, id, &set, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn delete_user(
        &self,
        id: UserId,
        expected: Option<&str>,
        act: &Act,
    ) -> Result<Deleted, StoreError> {
        let (expected, act) = (expected.map(str::to_owned), act.clone());
        self.detached("delete_user", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = delete_in(&mut tx, id, expected.as_deref(), &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }
}

async fn change_in(
    tx: &mut Tx,
    id: UserId,
    change: &UserChange,
    act: &Act,
) -> Result<Verdict<Patched>, DbError> {
    let Some(before) = locks::user(tx, id).await? else {
        return Ok(Verdict::Undo(Patched::NotFound));
    };
    if !locks::may_act(tx, act, id).await? {
        return Ok(Verdict::Undo(Patched::ActorEnded));
    }
    let rows = match tx
        .run(statements::USER_CHANGE, changed(id, change, act.now))
        .await
    {
        // The only unique key that the statement touches.
        Err(DbError::Taken(_)) => return Ok(Verdict::Undo(Patched::EmailTaken)),
        other => other?,
    };
    let Some(user) = records::first(&rows, |row| records::user(&mut row.columns()))? else {
        return Ok(Verdict::Undo(Patched::NotFound));
    };
    let mut announcements = Vec::new();
    if change.disabled == Some(true) {
        let reason = EndReason::UserDisabled;
        announcements = end_all(tx, id, None, reason, act).await?;
        announcements.push(announce_user(tx, id, act).await?);
    }
    let ended = sessions_of(&announcements);
    let mut act = act.clone();
    if change.roles.is_some() && user.roles != before.roles {
        announcements.push(announce_user(tx, id, &act).await?);
        let details = &mut act.draft.details;
        details.insert("roles_before".to_owned(), before.roles.into());
        details.insert("roles".to_owned(), user.roles.clone().into());
    }
    announcements.push(announce(tx, Subject::UserChanged(id), &act).await?);
    let row = act.row_ending(id, before.salt.as_ref(), None, &ended);
    append(tx, &[row]).await?;
    Ok(Verdict::Commit(Patched::Changed(user, announcements)))
}

/// The values of `USER_CHANGE`.
fn changed(id: UserId, change: &UserChange, now: Timestamp) -> Vec<Value> {
    let email = change.email.as_ref().map(|(typed, _)| typed.as_str());
    let email_key = change.email.as_ref().map(|(_, key)| key.as_str());
    let standing = match change.disabled {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    };
    vec![
        id.0.into(),
        i64::from(change.name.is_some()).into(),
        change.name.as_ref().and_then(Option::as_deref).into(),
        Value::OptJson(change.roles.as_deref().map(records::names)),
        email.into(),
        email_key.into(),
        Value::Int(standing),
        now.into(),
    ]
}

async fn set_password_in(
    tx: &mut Tx,
    id: UserId,
    set: &SetPassword,
    act: &Act,
) -> Result<Verdict<PasswordSet>, DbError> {
    let Some(user) = locks::user(tx, id).await? else {
        return Ok(Verdict::Undo(PasswordSet::NotFound));
    };
    if !locks::may_act(tx, act, id).await? {
        return Ok(Verdict::Undo(PasswordSet::ActorEnded));
    }
    if !user.still_has(set.expected.as_deref()) {
        return Ok(Verdict::Undo(PasswordSet::Conflict));
    }
    let values = vec![id.0.into(), set.hash.as_str().into()];
    tx.run(statements::USER_SET_PASSWORD, values).await?;
    let reason = EndReason::PasswordChanged;
    let ended = end_all(tx, id, acting(act.actor), reason, act).await?;
    let row = act.row_ending(id, user.salt.as_ref(), None, &sessions_of(&ended));
    append(tx, &[row]).await?;
    Ok(Verdict::Commit(PasswordSet::Set(ended)))
}

async fn delete_in(
    tx: &mut Tx,
    id: UserId,
    expected: Option<&str>,
    act: &Act,
) -> Result<Verdict<Deleted>, DbError> {
    let Some(user) = locks::user(tx, id).await? else {
        return Ok(Verdict::Undo(Deleted::NotFound));
    };
    if !locks::may_act(tx, act, id).await? {
        return Ok(Verdict::Undo(Deleted::ActorEnded));
    }
    if !user.still_has(expected) {
        return Ok(Verdict::Undo(Deleted::Conflict));
    }
    // The sessions themselves go with the user's row.
    let mut announcements = announce_sessions(tx, id, None, act).await?;
    announcements.push(announce_user(tx, id, act).await?);
    announcements.push(announce(tx, Subject::UserChanged(id), act).await?);
    let ended = sessions_of(&announcements);
    tx.run(statements::USER_DELETE, vec![id.0.into()]).await?;
    // After the user: an event that is being written keeps the row until it is there.
    tx.run(statements::EVENTS_FORGET_ADDRESSES, forgotten(id))
        .await?;
    append(tx, &[act.row_ending(id, None, None, &ended)]).await?;
    Ok(Verdict::Commit(Deleted::Deleted(announcements)))
}

/// The values of `EVENTS_FORGET_ADDRESSES`: so many at once as do not hold up others noticeably. The rest is for
/// `forget_addresses`.
pub(crate) fn forgotten(id: UserId) -> Vec<Value> {
    vec![id.0.into(), records::limit(FORGOTTEN_AT_ONCE)]
}

fn acting(actor: Actor) -> Option<SessionId> {
    match actor {
        Actor::Session(id) => Some(id),
        Actor::Trusted => None,
    }
}
