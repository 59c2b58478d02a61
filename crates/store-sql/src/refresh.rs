//! Refreshing: read, decide, and change the session only if it is still as it was read.

use std::time::Duration;

use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{Decision, EndReason, RotationPolicy, decide};
use countersign_domain::{EventId, SessionId};
use countersign_store::{Act, Ended, Grant, RefreshOutcome, Refreshed, Session, StoreError, User};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::driver::{Db, DbError, micros};
use crate::sessions::end_in;
use crate::{records, statements};

/// A lost swap means that another refresh won, so the next look nearly always decides. More than a
/// few in a row would take a client that refreshes its newest token in parallel without pause.
const TRIES: u32 = 16;

/// Whoever asked may have given up by then, which a proxy need not tell us, and have been served by another instance since. That
/// an old token is behind is no longer a sign of theft after that.
const LATE: Duration = Duration::from_secs(1);

pub(crate) async fn refresh(
    db: &Db,
    presented: Presented,
    policy: &RotationPolicy,
    act: &Act,
    held: Duration,
) -> Result<RefreshOutcome, StoreError> {
    let now = act.now;
    let began = Instant::now();
    for _ in 0..TRIES {
        let Some((session, user)) = read(db, presented).await? else {
            return Ok(RefreshOutcome::Unknown);
        };
        match decide(&session.state, presented.generation, now, policy) {
            Decision::Rotate { to, adopted } => {
                if let Some(session) = swap(db, session, to, now, policy).await? {
                    return Ok(refreshed(&session, &user, true, adopted));
                }
            }
            Decision::Repeat { .. } => return Ok(refreshed(&session, &user, false, false)),
            Decision::Reuse if act.is_abandoned() || held + began.elapsed() > LATE => {
                let text = "too late to tell a retry from a stolen token";
                return Err(StoreError::Unavailable(text.to_owned()));
            }
            Decision::Reuse => return close(db, &session, act).await,
            Decision::Dead(dead) => {
                return Ok(RefreshOutcome::Dead {
                    dead,
                    user_id: session.user_id,
                    event: session.ended_by,
                });
            }
        }
    }
    let text = format!("the session changed {TRIES} times while it was refreshed");
    Err(StoreError::Unavailable(text))
}

async fn read(db: &Db, presented: Presented) -> Result<Option<(Session, User)>, DbError> {
    let values = vec![presented.session.0.into()];
    let rows = db.read(statements::SESSION_WITH_USER, values).await?;
    records::first(&rows, records::session_with_user)
}

/// Moves the session on to generation `to`. `None`: it has been refreshed or ended meanwhile.
async fn swap(
    db: &Db,
    session: Session,
    to: u32,
    now: Timestamp,
    policy: &RotationPolicy,
) -> Result<Option<Session>, DbError> {
    let mut state = session.state.rotated(to, micros(now), policy);
    state.idle_expires_at = micros(state.idle_expires_at);
    let values = vec![
        session.id.0.into(),
        i64::from(session.state.generation).into(),
        i64::from(to).into(),
        state.rotated_at.into(),
        state.idle_expires_at.into(),
    ];
    let rows = db.write(statements::SESSION_ROTATE, values).await?;
    Ok((!rows.is_empty()).then_some(Session {
        state,
        last_used_at: state.rotated_at,
        ..session
    }))
}

/// Closes a session whose old token was used again. Nothing that happened since it was read can
/// have made that token good: generations only grow.
async fn close(db: &Db, session: &Session, act: &Act) -> Result<RefreshOutcome, StoreError> {
    let mut tx = db.begin().await?;
    let verdict = end_in(&mut tx, session.id, None, EndReason::Reuse, act).await?;
    Ok(match tx.settle(verdict).await? {
        Ended::Ended(announcements) => RefreshOutcome::Reused {
            user_id: session.user_id,
            event: match announcements.is_empty() {
                false => Some(act.event()),
                true => ended_by(db, session.id).await?,
            },
            announcements,
        },
        Ended::NotFound | Ended::ActorEnded => RefreshOutcome::Unknown,
    })
}

/// The event of whoever ended it at the same moment.
async fn ended_by(db: &Db, id: SessionId) -> Result<Option<EventId>, DbError> {
    let rows = db
        .read(statements::SESSION_BY_ID, vec![id.0.into()])
        .await?;
    let session = records::first(&rows, |row| records::session(&mut row.columns()))?;
    Ok(session.and_then(|session| session.ended_by))
}

fn refreshed(session: &Session, user: &User, rotated: bool, adopted: bool) -> RefreshOutcome {
    RefreshOutcome::Refreshed(Box::new(Refreshed {
        grant: Grant::new(session, user),
        rotated,
        adopted,
    }))
}
