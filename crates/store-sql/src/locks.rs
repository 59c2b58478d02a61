//! The order of locks: the user's row first, then sessions.

use countersign_domain::audit::Salt;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Act, Actor};

use crate::driver::{Columns, DbError, Names, Row, Tx};
use crate::{records, statements};

/// A user whose row is locked until the transaction ends.
pub(crate) struct LockedUser {
    pub(crate) id: UserId,
    pub(crate) password_hash: Option<String>,
    pub(crate) salt: Option<Salt>,
    pub(crate) roles: Vec<String>,
}

impl LockedUser {
    /// Whether `expected` is still the stored hash; `None` does not care.
    pub(crate) fn still_has(&self, expected: Option<&str>) -> bool {
        expected.is_none_or(|expected| self.password_hash.as_deref() == Some(expected))
    }
}

/// Locks a user's row. `None`: there is no such user.
pub(crate) async fn user(tx: &mut Tx, id: UserId) -> Result<Option<LockedUser>, DbError> {
    let rows = tx.run(statements::USER_LOCK, vec![id.0.into()]).await?;
    records::first(&rows, locked)
}

/// Locks the row of the user that a session belongs to.
pub(crate) async fn user_of(tx: &mut Tx, id: SessionId) -> Result<Option<LockedUser>, DbError> {
    let values = vec![id.0.into()];
    let rows = tx.run(statements::USER_LOCK_BY_SESSION, values).await?;
    records::first(&rows, locked)
}

/// Whether who acts may act for `user`: its session is live. Under the lock of the user's row nobody
/// else ends it, so it stays live until the transaction ends, and its own row needs no lock.
pub(crate) async fn may_act(tx: &mut Tx, act: &Act, user: UserId) -> Result<bool, DbError> {
    let Actor::Session(id) = act.actor else {
        return Ok(true);
    };
    let values = vec![id.0.into(), user.0.into(), act.now.into()];
    let rows = tx.run(statements::SESSION_IS_LIVE, values).await?;
    Ok(!rows.is_empty())
}

/// The salt of a user's events.
pub(crate) fn salt(columns: &mut Columns<'_>) -> Result<Option<Salt>, DbError> {
    let salt = columns.take_opt::<Vec<u8>>()?;
    Ok(salt.and_then(|bytes| bytes.try_into().ok()).map(Salt))
}

fn locked(row: &Row) -> Result<LockedUser, DbError> {
    let mut columns = row.columns();
    Ok(LockedUser {
        id: UserId(columns.take()?),
        password_hash: columns.take_opt()?,
        salt: salt(&mut columns)?,
        roles: columns.take::<Names>()?.0,
    })
}
