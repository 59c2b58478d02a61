//! What the copy of the sessions in Redis needs of the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::RotationPolicy;
use countersign_domain::{SessionId, UserId};
use countersign_store::{
    Act, Authority, CopyEpoch, RefreshOutcome, Rotation, Session, StoreError, User,
};
use tokio::time::timeout;
use uuid::Uuid;

use crate::driver::{Db, DbError, Row, Value};
use crate::{SqlStore, records, refresh, statements};

/// So long a look at the epoch waits for a connection that requests may hold.
const PATIENCE: Duration = Duration::from_millis(50);

#[async_trait]
impl Authority for SqlStore {
    async fn note_rotations(&self, rotations: &[Rotation]) -> Result<(), StoreError> {
        let mut rotations = rotations.to_vec();
        // One order for all instances, so that they do not wait for each other's rows in a circle.
        rotations.sort_by_key(|rotation| rotation.session.0);
        for batch in rotations.chunks(statements::ROTATIONS) {
            let mut values: Vec<Value> = Vec::with_capacity(4 * statements::ROTATIONS);
            // A batch that is not full ends with its last one over and over.
            let last = batch.last().into_iter().cycle();
            for rotation in batch.iter().chain(last).take(statements::ROTATIONS) {
                values.extend([
                    rotation.session.0.into(),
                    i64::from(rotation.generation).into(),
                    rotation.rotated_at.into(),
                    rotation.idle_expires_at.into(),
                ]);
            }
            self.write("note_rotations", statements::SESSIONS_ROTATE, values)
                .await?;
        }
        Ok(())
    }

    async fn refresh_held(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        act: &Act,
        held: Duration,
    ) -> Result<RefreshOutcome, StoreError> {
        let (policy, act) = (*policy, act.clone());
        self.detached("refresh", move |db| async move {
            refresh::refresh(&db, presented, &policy, &act, held).await
        })
        .await
    }

    async fn session_with_user(
        &self,
        id: SessionId,
    ) -> Result<Option<(Session, User)>, StoreError> {
        let values = vec![id.0.into()];
        let rows = self
            .read("session_with_user", statements::SESSION_WITH_USER, values)
            .await?;
        Ok(records::first(&rows, records::session_with_user)?)
    }

    async fn sessions_of(&self, user: UserId) -> Result<Vec<SessionId>, StoreError> {
        let values = vec![user.0.into()];
        let rows = self
            .read("sessions_of", statements::SESSIONS_NOT_ENDED, values)
            .await?;
        Ok(records::all(&rows, |row| {
            row.columns().take().map(SessionId)
        })?)
    }

    async fn copy_epoch(&self, installation: Uuid) -> Result<CopyEpoch, StoreError> {
        let look = || self.read("copy_epoch", statements::COPY_EPOCH, vec![]);
        // Where every request waits, it must be heard in time all the same that a copy is out of use.
        let rows = match timeout(PATIENCE, look()).await {
            Ok(rows) => rows?,
            Err(_) => {
                let sql = statements::COPY_EPOCH;
                let apart = |db: Arc<Db>| async move { Ok(db.read_apart(sql, vec![]).await?) };
                self.detached("copy_epoch", apart).await?
            }
        };
        if let Some(present) = records::first(&rows, epoch)? {
            return Ok(present);
        }
        let values = vec![installation.into()];
        self.write("copy_epoch", statements::COPY_EPOCH_BEGIN, values)
            .await?;
        let rows = look().await?;
        let begun = records::first(&rows, epoch)?;
        begun.ok_or_else(|| StoreError::Corrupt("the epoch of copies did not stay".to_owned()))
    }

    async fn next_copy_epoch(&self, after: CopyEpoch, to: u64) -> Result<CopyEpoch, StoreError> {
        let number = |number| i64::try_from(number).unwrap_or(i64::MAX);
        let values = vec![number(after.number).into(), number(to).into()];
        self.write("next_copy_epoch", statements::COPY_EPOCH_NEXT, values)
            .await?;
        self.copy_epoch(after.installation).await
    }
}

fn epoch(row: &Row) -> Result<CopyEpoch, DbError> {
    let mut columns = row.columns();
    let installation = columns.take()?;
    let number: i64 = columns.take()?;
    let number =
        u64::try_from(number).map_err(|_| DbError::Corrupt(format!("copy epoch {number}")))?;
    Ok(CopyEpoch {
        installation,
        number,
    })
}
