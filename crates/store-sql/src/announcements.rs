use async_trait::async_trait;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Act, Announced, Announcement, Announcements, StoreError, Subject};
use jiff::Timestamp;
use uuid::Uuid;

use crate::driver::{DbError, Tx, Value, micros};
use crate::{SqlStore, records, statements};

#[async_trait]
impl Announcements for SqlStore {
    async fn announcements_after(
        &self,
        after: i64,
        now: Timestamp,
    ) -> Result<Vec<Announced>, StoreError> {
        let values = vec![after.into(), now.into()];
        let rows = self.read(
            "announcements_after",
            statements::ANNOUNCEMENTS_AFTER,
            values,
        );
        Ok(records::all(&rows.await?, records::announced)?)
    }
}

/// Writes an announcement in the transaction of the change that it tells of. Everybody is the user
/// with the nil id, whom versions that know no better take for a user whom they never meet.
pub(crate) async fn announce(
    tx: &mut Tx,
    subject: Subject,
    act: &Act,
) -> Result<Announcement, DbError> {
    let (kind, id, not_before) = match subject {
        Subject::Session(id) => (records::SESSION, Some(id.0), None),
        Subject::User { id, not_before } => (records::USER, Some(id.0), Some(not_before)),
        Subject::Everybody { not_before } => (records::USER, Some(Uuid::nil()), Some(not_before)),
        Subject::UserChanged(id) => (records::USER_CHANGED, Some(id.0), None),
        Subject::KeysChanged => (records::KEYS_CHANGED, None, None),
    };
    let values: Vec<Value> = vec![
        kind.into(),
        id.into(),
        not_before.into(),
        act.now.into(),
        act.tokens_until.into(),
        act.event().0.into(),
    ];
    tx.run(statements::ANNOUNCE, values).await?;
    Ok(Announcement {
        subject,
        expires_at: micros(act.tokens_until),
        event: Some(act.event()),
    })
}

/// Announces the end of all of a user's sessions but `but`, under the lock of the user's row.
pub(crate) async fn announce_sessions(
    tx: &mut Tx,
    user: UserId,
    but: Option<SessionId>,
    act: &Act,
) -> Result<Vec<Announcement>, DbError> {
    let values = vec![
        user.0.into(),
        spared(but).into(),
        act.now.into(),
        act.tokens_until.into(),
        act.event().0.into(),
    ];
    let rows = tx.run(statements::SESSIONS_ANNOUNCE, values).await?;
    records::all(&rows, |row| {
        Ok(Announcement {
            subject: Subject::Session(SessionId(row.columns().take()?)),
            expires_at: micros(act.tokens_until),
            event: Some(act.event()),
        })
    })
}

/// Announces that tokens of the user from before the act are refused.
pub(crate) async fn announce_user(
    tx: &mut Tx,
    id: UserId,
    act: &Act,
) -> Result<Announcement, DbError> {
    let not_before = micros(act.now);
    announce(tx, Subject::User { id, not_before }, act).await
}

/// The sessions that announcements tell of.
pub(crate) fn sessions_of(announcements: &[Announcement]) -> Vec<SessionId> {
    let sessions = announcements.iter().filter_map(|one| match one.subject {
        Subject::Session(id) => Some(id),
        _ => None,
    });
    sessions.collect()
}

/// The session to leave alone; no session has the nil id.
pub(crate) fn spared(but: Option<SessionId>) -> Uuid {
    but.map_or(Uuid::nil(), |id| id.0)
}
