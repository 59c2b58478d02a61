//! Rows to records, and records to values. The order of columns is that of `statements.rs`.

use countersign_domain::rotation::{EndReason, SessionState};
use countersign_domain::service_key::ServiceKeyHash;
use countersign_domain::{EventId, ServiceKeyId, SessionId, UserId};
use countersign_store::{
    Announced, Announcement, Credentials, KeyRecord, ServiceKeyRecord, Session, Subject, User,
};

use crate::driver::{Columns, DbError, Names, Row, Value};

pub(crate) const SESSION: &str = "session";
pub(crate) const USER: &str = "user";
pub(crate) const USER_CHANGED: &str = "user_changed";
pub(crate) const KEYS_CHANGED: &str = "keys_changed";

/// All of them. Each is declared by the migration whose schema knows it first.
pub(crate) const KINDS: [&str; 4] = [SESSION, USER, USER_CHANGED, KEYS_CHANGED];

pub(crate) fn user(columns: &mut Columns<'_>) -> Result<User, DbError> {
    Ok(User {
        id: UserId(columns.take()?),
        email: columns.take()?,
        email_verified_at: columns.take_opt()?,
        name: columns.take_opt()?,
        roles: columns.take::<Names>()?.0,
        disabled_at: columns.take_opt()?,
        created_at: columns.take()?,
        updated_at: columns.take()?,
        last_sign_in_at: columns.take_opt()?,
    })
}

pub(crate) fn credentials(row: &Row) -> Result<Credentials, DbError> {
    let mut columns = row.columns();
    Ok(Credentials {
        user: user(&mut columns)?,
        password_hash: columns.take_opt()?,
    })
}

pub(crate) fn session(columns: &mut Columns<'_>) -> Result<Session, DbError> {
    Ok(Session {
        id: SessionId(columns.take()?),
        user_id: UserId(columns.take()?),
        state: SessionState {
            generation: generation(columns.take()?)?,
            rotated_at: columns.take()?,
            idle_expires_at: columns.take()?,
            expires_at: columns.take()?,
            ended: columns.take_opt::<String>()?.map(reason),
        },
        created_at: columns.take()?,
        last_used_at: columns.take()?,
        ip: columns.take_opt::<String>()?.map(address).transpose()?,
        user_agent: columns.take_opt()?,
        amr: columns.take::<Names>()?.0,
        auth_time: columns.take()?,
        ended_by: columns.take_opt()?.map(EventId),
    })
}

pub(crate) fn session_with_user(row: &Row) -> Result<(Session, User), DbError> {
    let mut columns = row.columns();
    Ok((session(&mut columns)?, user(&mut columns)?))
}

pub(crate) fn key(row: &Row) -> Result<KeyRecord, DbError> {
    let mut columns = row.columns();
    Ok(KeyRecord {
        kid: columns.take()?,
        algorithm: columns.take()?,
        public_jwk: columns.take()?,
        sealed_private: columns.take()?,
        created_at: columns.take()?,
        activates_at: columns.take()?,
        expires_at: columns.take_opt()?,
    })
}

pub(crate) fn service_key(row: &Row) -> Result<ServiceKeyRecord, DbError> {
    let mut columns = row.columns();
    Ok(ServiceKeyRecord {
        id: ServiceKeyId(columns.take()?),
        name: columns.take()?,
        hash: ServiceKeyHash(hash(columns.take()?)?),
        scopes: columns.take::<Names>()?.0,
        created_at: columns.take()?,
        expires_at: columns.take_opt()?,
        revoked_at: columns.take_opt()?,
    })
}

/// `strange` is told the number and the kind of one that this version does not know.
pub(crate) fn announced(
    row: &Row,
    mut strange: impl FnMut(i64, &str),
) -> Result<Announced, DbError> {
    let mut columns = row.columns();
    let seq = columns.take()?;
    let kind: String = columns.take()?;
    let id = columns.take_opt()?;
    let not_before = columns.take_opt()?;
    let subject = match (kind.as_str(), id, not_before) {
        (SESSION, Some(id), _) => Subject::Session(SessionId(id)),
        (USER, Some(id), Some(not_before)) if id.is_nil() => Subject::Everybody { not_before },
        (USER, Some(id), Some(not_before)) => Subject::User {
            id: UserId(id),
            not_before,
        },
        (USER_CHANGED, Some(id), _) => Subject::UserChanged(UserId(id)),
        (KEYS_CHANGED, None, _) => Subject::KeysChanged,
        (kind, ..) if !KINDS.contains(&kind) => {
            strange(seq, kind);
            Subject::Unknown
        }
        _ => return Err(DbError::Corrupt(format!("revocation {seq} of kind {kind}"))),
    };
    let expires_at = columns.take()?;
    Ok(Announced {
        seq,
        announcement: Announcement {
            subject,
            expires_at,
            event: columns.take_opt()?.map(EventId),
        },
    })
}

/// A list of names as JSON.
pub(crate) fn names(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

/// The first row, read by `read`.
pub(crate) fn first<T>(
    rows: &[Row],
    read: impl FnOnce(&Row) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    rows.first().map(read).transpose()
}

/// All rows, read by `read`.
pub(crate) fn all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, DbError>,
) -> Result<Vec<T>, DbError> {
    rows.iter().map(read).collect()
}

/// The limit of a list.
pub(crate) fn limit(limit: u32) -> Value {
    Value::Int(i64::from(limit))
}

fn generation(stored: i64) -> Result<u32, DbError> {
    u32::try_from(stored).map_err(|_| DbError::Corrupt(format!("generation {stored}")))
}

fn hash(stored: Vec<u8>) -> Result<[u8; 32], DbError> {
    let stored = stored.try_into();
    stored.map_err(|_| DbError::Corrupt("a hash of another length".to_owned()))
}

/// A newer version may know more of them; ended is ended.
fn reason(name: String) -> EndReason {
    EndReason::from_name(&name).unwrap_or(EndReason::Unknown)
}

fn address(text: String) -> Result<std::net::IpAddr, DbError> {
    text.parse()
        .map_err(|_| DbError::Corrupt(format!("address {text}")))
}
