use async_trait::async_trait;
use countersign_store::{Housekeeping, Purge, StoreError};
use jiff::Timestamp;
use uuid::Uuid;

use crate::driver::Value;
use crate::{SqlStore, records, statements};

#[async_trait]
impl Housekeeping for SqlStore {
    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let values = vec![name.into(), holder.into(), until.into(), now.into()];
        let rows = self
            .write("take_lease", statements::LEASE_TAKE, values)
            .await?;
        Ok(!rows.is_empty())
    }

    async fn purge(&self, what: Purge, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let before: Value = before.into();
        let (statement, values) = match what {
            Purge::ExpiredSessions => (
                statements::SESSIONS_PURGE_EXPIRED,
                vec![before, records::limit(limit)],
            ),
            Purge::EndedSessions => (
                statements::SESSIONS_PURGE_ENDED,
                vec![before, records::limit(limit)],
            ),
            Purge::Announcements => (
                statements::ANNOUNCEMENTS_PURGE,
                vec![before, records::limit(limit)],
            ),
            Purge::Keys => (statements::KEYS_PURGE, vec![before]),
        };
        Ok(self.write("purge", statement, values).await?.len())
    }
}
