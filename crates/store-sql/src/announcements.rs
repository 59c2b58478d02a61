use async_trait::async_trait;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Announced, Announcement, Announcements, StoreError, Subject};
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
        let sql = statements::ANNOUNCEMENTS_AFTER;
        // Sign-outs are heard of in time also where every request waits.
        let rows = self.detached("announcements_after", |db| async move {
            Ok(db.read_apart(sql, values).await?)
        });
        Ok(records::all(&rows.await?, records::announced)?)
    }
}

/// Writes an announcement in the transaction of the change that it tells of.
pub(crate) async fn announce(
    tx: &mut Tx,
    subject: Subject,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Announcement, DbError> {
    let (kind, id, not_before) = match subject {
        Subject::Session(id) => (records::SESSION, Some(id.0), None),
        Subject::User { id, not_before } => (records::USER, Some(id.0), Some(not_before)),
        Subject::UserChanged(id) => (records::USER_CHANGED, Some(id.0), None),
        Subject::KeysChanged => (records::KEYS_CHANGED, None, None),
    };
    let values: Vec<Value> = vec![
        kind.into(),
        id.into(),
        not_before.into(),
        now.into(),
        expires_at.into(),
    ];
    tx.run(statements::ANNOUNCE, values).await?;
    Ok(Announcement {
        subject,
        expires_at: micros(expires_at),
    })
}

/// Announces the end of all of a user's sessions but `but`, under the lock of the user's row.
pub(crate) async fn announce_sessions(
    tx: &mut Tx,
    user: UserId,
    but: Option<SessionId>,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Vec<Announcement>, DbError> {
    let values = vec![
        user.0.into(),
        spared(but).into(),
        now.into(),
        expires_at.into(),
    ];
    let rows = tx.run(statements::SESSIONS_ANNOUNCE, values).await?;
    records::all(&rows, |row| {
        Ok(Announcement {
            subject: Subject::Session(SessionId(row.columns().take()?)),
            expires_at: micros(expires_at),
        })
    })
}

/// Announces that tokens of the user from before `now` are refused. Cut to the second, like `iat`
/// in a token: a token made in this very second belongs to a session that is announced by itself.
pub(crate) async fn announce_user(
    tx: &mut Tx,
    id: UserId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<Announcement, DbError> {
    let not_before = Timestamp::from_second(now.as_second()).unwrap_or(now);
    announce(tx, Subject::User { id, not_before }, now, expires_at).await
}

/// The session to leave alone; no session has the nil id.
pub(crate) fn spared(but: Option<SessionId>) -> Uuid {
    but.map_or(Uuid::nil(), |id| id.0)
}
