use std::time::Duration;

use async_trait::async_trait;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{EndReason, RotationPolicy};
use countersign_domain::{SessionId, UserId};
use countersign_store::{
    Act, Announcement, Authority as _, Ended, MAX_SESSIONS, NewSession, Opened, RefreshOutcome,
    Scope, Session, Sessions, SignInProof, StoreError, Subject,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::announcements::{announce, announce_sessions, sessions_of, spared};
use crate::audit::append;
use crate::driver::{DbError, Tx, Value, Verdict};
use crate::{SqlStore, locks, records, statements};

#[async_trait]
impl Sessions for SqlStore {
    async fn open_session(
        &self,
        new: &NewSession,
        proof: &SignInProof,
        act: &Act,
    ) -> Result<Opened, StoreError> {
        let (new, proof, act) = (new.clone(), proof.clone(), act.clone());
        self.detached("open_session", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = open_in(&mut tx, &new, &proof, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn refresh(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        act: &Act,
    ) -> Result<RefreshOutcome, StoreError> {
        self.refresh_held(presented, policy, act, Duration::ZERO)
            .await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let rows = self.read("session", statements::SESSION_BY_ID, vec![id.0.into()]);
        let rows = rows.await?;
        Ok(records::first(&rows, |row| {
            records::session(&mut row.columns())
        })?)
    }

    async fn live_sessions(
        &self,
        user: UserId,
        after: Option<(Timestamp, SessionId)>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<Session>, StoreError> {
        let (created_at, id) = after.map_or((Timestamp::MAX, Uuid::max()), |(at, id)| (at, id.0));
        let values = vec![
            user.0.into(),
            now.into(),
            created_at.into(),
            id.into(),
            records::limit(limit),
        ];
        let rows = self
            .read("live_sessions", statements::SESSIONS_LIVE, values)
            .await?;
        Ok(records::all(&rows, |row| {
            records::session(&mut row.columns())
        })?)
    }

    async fn end_session(
        &self,
        id: SessionId,
        owner: Option<UserId>,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError> {
        let act = act.clone();
        self.detached("end_session", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = end_in(&mut tx, id, owner, reason, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn end_sessions(
        &self,
        user: UserId,
        scope: Scope,
        reason: EndReason,
        act: &Act,
    ) -> Result<Ended, StoreError> {
        let act = act.clone();
        self.detached("end_sessions", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = end_scope_in(&mut tx, user, scope, reason, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }
}

async fn open_in(
    tx: &mut Tx,
    new: &NewSession,
    proof: &SignInProof,
    act: &Act,
) -> Result<Verdict<Opened>, DbError> {
    let values = vec![
        new.user_id.0.into(),
        proof.password_hash.as_str().into(),
        act.now.into(),
        proof.rehash.as_ref().map(|hash| hash.as_str()).into(),
    ];
    let rows = tx.run(statements::USER_SIGN_IN, values).await?;
    let signed_in = records::first(&rows, |row| {
        let mut columns = row.columns();
        Ok((records::user(&mut columns)?, locks::salt(&mut columns)?))
    })?;
    let Some((user, salt)) = signed_in else {
        return Ok(Verdict::Undo(Opened::ProofStale));
    };
    let values = vec![
        new.id.0.into(),
        new.user_id.0.into(),
        act.now.into(),
        new.idle_expires_at.into(),
        new.expires_at.into(),
        Value::OptText(new.ip.map(|ip| ip.to_string())),
        new.user_agent.as_deref().into(),
        Value::Json(records::names(&new.amr)),
    ];
    let rows = tx.run(statements::SESSION_OPEN, values).await?;
    let session = records::first(&rows, |row| records::session(&mut row.columns()))?
        .ok_or_else(|| DbError::Corrupt("an inserted session did not come back".to_owned()))?;
    let ended = end_too_many(tx, new, act).await?;
    let row = act.row_ending(
        new.user_id,
        salt.as_ref(),
        Some(new.id),
        &sessions_of(&ended),
    );
    append(tx, &[row]).await?;
    Ok(Verdict::Commit(Opened::Opened(session, user, ended)))
}

/// Ends a user's oldest sessions beyond the number that is allowed, under the lock of its row. The
/// new one stays, also where another instance's clock made others look newer.
async fn end_too_many(
    tx: &mut Tx,
    new: &NewSession,
    act: &Act,
) -> Result<Vec<Announcement>, DbError> {
    let values = vec![
        new.user_id.0.into(),
        act.now.into(),
        EndReason::TooMany.as_str().into(),
        new.id.0.into(),
        i64::from(MAX_SESSIONS - 1).into(),
        act.event().0.into(),
    ];
    let rows = tx.run(statements::SESSIONS_END_TOO_MANY, values).await?;
    let mut announcements = Vec::new();
    for id in records::all(&rows, |row| row.columns().take().map(SessionId))? {
        announcements.push(announce(tx, Subject::Session(id), act).await?);
    }
    Ok(announcements)
}

/// Ends one session, under the lock of its user's row.
pub(crate) async fn end_in(
    tx: &mut Tx,
    id: SessionId,
    owner: Option<UserId>,
    reason: EndReason,
    act: &Act,
) -> Result<Verdict<Ended>, DbError> {
    let Some(user) = locks::user_of(tx, id).await? else {
        return Ok(Verdict::Undo(Ended::NotFound));
    };
    if owner.is_some_and(|owner| owner != user.id) {
        return Ok(Verdict::Undo(Ended::NotFound));
    }
    if !locks::may_act(tx, act, user.id).await? {
        return Ok(Verdict::Undo(Ended::ActorEnded));
    }
    let values = vec![
        id.0.into(),
        act.now.into(),
        reason.as_str().into(),
        act.event().0.into(),
    ];
    if tx.run(statements::SESSION_END, values).await?.is_empty() {
        return Ok(Verdict::Undo(Ended::Ended(vec![])));
    }
    let announcement = announce(tx, Subject::Session(id), act).await?;
    let row = act.row_ending(user.id, user.salt.as_ref(), Some(id), &[id]);
    append(tx, &[row]).await?;
    Ok(Verdict::Commit(Ended::Ended(vec![announcement])))
}

async fn end_scope_in(
    tx: &mut Tx,
    user: UserId,
    scope: Scope,
    reason: EndReason,
    act: &Act,
) -> Result<Verdict<Ended>, DbError> {
    let Some(locked) = locks::user(tx, user).await? else {
        return Ok(Verdict::Undo(Ended::NotFound));
    };
    if !locks::may_act(tx, act, user).await? {
        return Ok(Verdict::Undo(Ended::ActorEnded));
    }
    let but = match scope {
        Scope::All => None,
        Scope::AllBut(id) => Some(id),
    };
    let ended = end_all(tx, user, but, reason, act).await?;
    if ended.is_empty() {
        return Ok(Verdict::Undo(Ended::Ended(ended)));
    }
    let row = act.row_ending(user, locked.salt.as_ref(), None, &sessions_of(&ended));
    append(tx, &[row]).await?;
    Ok(Verdict::Commit(Ended::Ended(ended)))
}

/// Ends and announces all of a user's sessions but `but`, under the lock of the user's row. A
/// session that has idled out counts as live here: another instance whose clock is behind might
/// still have refreshed it.
pub(crate) async fn end_all(
    tx: &mut Tx,
    user: UserId,
    but: Option<SessionId>,
    reason: EndReason,
    act: &Act,
) -> Result<Vec<Announcement>, DbError> {
    let announcements = announce_sessions(tx, user, but, act).await?;
    if announcements.is_empty() {
        return Ok(announcements);
    }
    let values = vec![
        user.0.into(),
        spared(but).into(),
        act.now.into(),
        reason.as_str().into(),
        act.event().0.into(),
    ];
    tx.run(statements::SESSIONS_END, values).await?;
    Ok(announcements)
}
