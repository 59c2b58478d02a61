//! Whether this database is the one to be served: it may be about to move, have moved, or not be filled yet.

use std::sync::atomic::{AtomicU8, Ordering};

use countersign_store::{Closed, StoreError};
use jiff::Timestamp;
use uuid::Uuid;

use crate::driver::{Db, DbError, Row};
use crate::{SqlStore, records, statements};

/// How far a move has come. The first four are of a database that is left, the others of one that is moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is copied while it is in use.
    Copying,
    /// Nothing is acknowledged for a moment, so that nothing is under way when it moves.
    Closing,
    /// It takes no more writes, for good.
    Moved,
    /// The move was called off.
    Reopened,
    /// It does not have everything yet.
    Filling,
    /// It has everything, but what is left may not have been told.
    Ready,
    /// It has everything, and is the one that counts.
    Complete,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Copying,
        Self::Closing,
        Self::Moved,
        Self::Reopened,
        Self::Filling,
        Self::Ready,
        Self::Complete,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Closing => "closing",
            Self::Moved => "moved",
            Self::Reopened => "reopened",
            Self::Filling => "filling",
            Self::Ready => "ready",
            Self::Complete => "complete",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// What is noted of a move.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) copy: Uuid,
    pub(crate) state: State,
    pub(crate) other: String,
    closed_until: Option<Timestamp>,
    pub(crate) progress: Option<String>,
}

pub(crate) fn read(row: &Row) -> Result<Move, DbError> {
    let mut columns = row.columns();
    let copy = columns.take()?;
    columns.take::<Uuid>()?;
    let state: String = columns.take()?;
    let state = State::from_name(&state)
        .ok_or_else(|| DbError::Corrupt(format!("a move in state {state}")))?;
    Ok(Move {
        copy,
        state,
        other: columns.take()?,
        closed_until: columns.take_opt()?,
        progress: columns.take_opt()?,
    })
}

/// What is noted here.
pub(crate) async fn noted(db: &Db) -> Result<Option<Move>, DbError> {
    let rows = db.read_apart(statements::MOVE, vec![]).await?;
    records::first(&rows, read)
}

/// Whether a database may be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Open,
    /// Not for a few seconds: it is about to move.
    Closing,
    /// It has moved, for good.
    Moved {
        /// Where to, without a password.
        to: String,
    },
    /// It is moved to, and not everything is here yet.
    Unfinished {
        /// Where from.
        from: String,
    },
}

impl Standing {
    fn of(noted: Option<Move>, now: Timestamp) -> Self {
        let Some(noted) = noted else {
            return Self::Open;
        };
        match noted.state {
            State::Moved => Self::Moved { to: noted.other },
            State::Filling | State::Ready => Self::Unfinished { from: noted.other },
            // Whoever copies may have been killed.
            State::Closing if noted.closed_until.is_some_and(|until| now < until) => Self::Closing,
            State::Closing | State::Copying | State::Reopened | State::Complete => Self::Open,
        }
    }

    fn closed(&self) -> Option<Closed> {
        match self {
            Self::Open => None,
            Self::Closing => Some(Closed::Moving),
            Self::Moved { .. } => Some(Closed::Moved),
            Self::Unfinished { .. } => Some(Closed::Unfinished),
        }
    }
}

/// What was found at the last look.
#[derive(Default)]
pub(crate) struct Found(AtomicU8);

impl Found {
    const CLOSED: [Option<Closed>; 4] = [
        None,
        Some(Closed::Moving),
        Some(Closed::Moved),
        Some(Closed::Unfinished),
    ];

    pub(crate) fn get(&self) -> Option<Closed> {
        let place = usize::from(self.0.load(Ordering::Relaxed));
        Self::CLOSED.get(place).copied().flatten()
    }

    fn set(&self, closed: Option<Closed>) {
        let place = Self::CLOSED.iter().position(|one| *one == closed);
        let place = place.and_then(|place| u8::try_from(place).ok());
        self.0.store(place.unwrap_or_default(), Ordering::Relaxed);
    }
}

/// Looks, and keeps what was found for [`countersign_store::Store::closed`].
pub(crate) async fn look(db: &Db, found: &Found, now: Timestamp) -> Result<Standing, DbError> {
    let standing = Standing::of(noted(db).await?, now);
    found.set(standing.closed());
    Ok(standing)
}

impl SqlStore {
    /// Whether this database may be served. Its schema must be up to date.
    pub async fn standing(&self, now: Timestamp) -> Result<Standing, StoreError> {
        let found = std::sync::Arc::clone(&self.found);
        self.detached(
            "standing",
            |db| async move { Ok(look(&db, &found, now).await?) },
        )
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(state: State) -> Option<Move> {
        Some(Move {
            copy: Uuid::nil(),
            state,
            other: "elsewhere".to_owned(),
            closed_until: Timestamp::from_second(100).ok(),
            progress: None,
        })
    }

    #[test]
    fn what_is_closed() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let closed = |state, second| Standing::of(noted(state), at(second)).closed();
        for state in [State::Copying, State::Reopened, State::Complete] {
            assert_eq!(closed(state, 99), None, "{state:?}");
        }
        assert_eq!(closed(State::Closing, 99), Some(Closed::Moving));
        assert_eq!(
            closed(State::Closing, 100),
            None,
            "whoever copies was killed"
        );
        assert_eq!(closed(State::Moved, 999), Some(Closed::Moved));
        assert_eq!(closed(State::Filling, 999), Some(Closed::Unfinished));
        assert_eq!(closed(State::Ready, 999), Some(Closed::Unfinished));
        assert_eq!(Standing::of(None, at(0)), Standing::Open);
    }

    #[test]
    fn what_was_found_is_kept() {
        let found = Found::default();
        for closed in Found::CLOSED {
            found.set(closed);
            assert_eq!(found.get(), closed);
        }
    }

    #[test]
    fn states_have_names_of_their_own() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
    }
}
