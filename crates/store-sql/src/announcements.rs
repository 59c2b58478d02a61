use std::sync::Arc;

use async_trait::async_trait;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Act, Announced, Announcement, Announcements, StoreError, Subject};
use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use crate::driver::{DbError, Row, Tx, Value, micros};
use crate::{SqlStore, moves, records, statements};

#[async_trait]
impl Announcements for SqlStore {
    async fn announcements_after(
        &self,
        after: i64,
        now: Timestamp,
    ) -> Result<Vec<Announced>, StoreError> {
        let values = vec![after.into(), now.into()];
        let sql = statements::ANNOUNCEMENTS_AFTER;
        let found = Arc::clone(&self.found);
        // Sign-outs are heard of in time also where every request waits; and so is that the database moves.
        let rows = self.detached("announcements_after", |db| async move {
            let rows = db.read_apart(sql, values).await?;
            moves::look(&db, &found, now).await?;
            Ok(rows)
        });
        let announced = self.announced(&rows.await?)?;
        self.cursor().note(after, &announced, Instant::now());
        Ok(announced)
    }

    async fn news(&self) -> Vec<Announcement> {
        loop {
            let woken = self.db.woken().await;
            let began = Instant::now();
            let after = self.cursor().begin();
            // What has expired is past honouring, and does no harm.
            let values = vec![after.into(), Timestamp::UNIX_EPOCH.into()];
            let sql = statements::ANNOUNCEMENTS_AFTER;
            let rows = self.detached("announcements_news", |db| async move {
                Ok(db.read_apart(sql, values).await?)
            });
            let found = rows.await.and_then(|rows| Ok(self.announced(&rows)?));
            woken.looked();
            // Where the look fails, it is for those who follow the list.
            let fresh = match found {
                Ok(found) => self.cursor().end(found, began),
                Err(_) => continue,
            };
            if !fresh.is_empty() {
                return fresh.into_iter().map(|one| one.announcement).collect();
            }
        }
    }
}

impl SqlStore {
    /// Those of kinds that this version does not know keep their places, and are told of.
    fn announced(&self, rows: &[Row]) -> Result<Vec<Announced>, DbError> {
        let strange = |seq, kind: &str| self.figures.strangers.note(seq, kind);
        records::all(rows, |row| records::announced(row, strange))
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
        Subject::Unknown => {
            let text = "an announcement that this version does not know cannot be made";
            return Err(DbError::Corrupt(text.to_owned()));
        }
    };
    let values: Vec<Value> = vec![
        kind.into(),
        id.into(),
        not_before.into(),
        act.now.into(),
        act.tokens_until.into(),
        act.event().0.into(),
    ];
    #[cfg(feature = "rehearsal")]
    crate::rehearsal::announce(tx, act).await?;
    tx.run(statements::ANNOUNCE, values).await?;
    tx.announces();
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
    if !rows.is_empty() {
        #[cfg(feature = "rehearsal")]
        crate::rehearsal::announce(tx, act).await?;
        tx.announces();
    }
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
