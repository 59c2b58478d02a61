//! Taking a move back.

use std::time::Duration;

use uuid::Uuid;

use super::CopyError;
use super::StoreCopy;
use super::source::Source;
use super::target::{Progress, Target, count};
use crate::SqlStore;
use crate::moves::{self, State};

/// Within this time servers of the target have looked, and answer no more.
const CLOSES_WITHIN: Duration = Duration::from_millis(1500);
const EVENTS: &str = "SELECT count(*) FROM audit_events";

/// What was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reopened {
    /// There was nothing to be taken back.
    Nothing,
    /// A copy that was under way.
    Copy,
    /// A move.
    Move {
        /// How many events the target's audit log has that are lost with it.
        lost: u64,
    },
}

impl StoreCopy<'_> {
    /// Has the source served again, and the target no more. What was acknowledged by the target since is lost; unless
    /// `lose` it is refused where there is any. `self.to` may be any store where the source has not moved.
    pub async fn reopen(&self, lose: bool) -> Result<Reopened, CopyError> {
        let Some(source) = noted(self.from).await? else {
            return Ok(Reopened::Nothing);
        };
        if source.state != State::Moved {
            return reopen_source(&self.source(), Reopened::Copy).await;
        }
        let target = moves::noted(&self.to.db).await.map_err(CopyError::target)?;
        let Some(target) = target.filter(|target| target.copy == source.copy) else {
            return Err(CopyError::Refused(format!(
                "the source has not moved to this target: name `{}`",
                source.other
            )));
        };
        let door: Target<'_> = self.target();
        let known = count(&self.from.db, EVENTS)
            .await
            .map_err(CopyError::source)?;
        let lost = door.events().await?.saturating_sub(known);
        let lost = u64::try_from(lost).unwrap_or_default();
        if lost > 0 && !lose {
            return Err(CopyError::InUse(lost));
        }
        door.take().await?;
        // No schema has this number: what is there is copied again, by the next run.
        let given_up = Progress::default();
        door.stand(State::Filling, &given_up).await?;
        if target.state == State::Complete {
            tokio::time::sleep(CLOSES_WITHIN).await;
        }
        reopen_source(&self.source(), Reopened::Move { lost }).await
    }
}

impl SqlStore {
    /// Has a source served again whose target is lost, or that has not moved yet. Where it has, nobody may serve the target
    /// any more. `run`: a random id.
    pub async fn reopen(&self, run: Uuid) -> Result<Reopened, CopyError> {
        let Some(noted) = noted(self).await? else {
            return Ok(Reopened::Nothing);
        };
        let source = Source {
            db: &self.db,
            holder: run,
        };
        let what = match noted.state {
            State::Moved => Reopened::Move { lost: 0 },
            _ => Reopened::Copy,
        };
        reopen_source(&source, what).await
    }

    /// Where it has moved to, without a password. `None`: it has not.
    pub async fn moved_to(&self) -> Result<Option<String>, CopyError> {
        let noted = noted(self).await?;
        let moved = noted.filter(|noted| noted.state == State::Moved);
        Ok(moved.map(|noted| noted.other))
    }
}

/// What is noted of a move that can be taken back.
async fn noted(from: &SqlStore) -> Result<Option<moves::Move>, CopyError> {
    let noted = moves::noted(&from.db).await.map_err(CopyError::source)?;
    Ok(noted.filter(|noted| matches!(noted.state, State::Copying | State::Closing | State::Moved)))
}

async fn reopen_source(source: &Source<'_>, what: Reopened) -> Result<Reopened, CopyError> {
    source.take().await?;
    source.reopen().await?;
    Ok(what)
}
