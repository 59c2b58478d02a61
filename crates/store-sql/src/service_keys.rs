use async_trait::async_trait;
use countersign_domain::ServiceKeyId;
use countersign_store::{
    Act, Announcement, NewServiceKey, ServiceKeyCreated, ServiceKeyRecord, ServiceKeys, StoreError,
    Subject,
};

use crate::announcements::announce;
use crate::audit::append;
use crate::driver::{DbError, Tx, Value, Verdict};
use crate::{SqlStore, records, statements};

#[async_trait]
impl ServiceKeys for SqlStore {
    async fn service_keys(&self) -> Result<Vec<ServiceKeyRecord>, StoreError> {
        let sql = statements::SERVICE_KEYS;
        let rows = self.detached("service_keys", |db| async move {
            // A key that was revoked is heard of in time also where every request waits.
            Ok(db.read_apart(sql, vec![]).await?)
        });
        Ok(records::all(&rows.await?, records::service_key)?)
    }

    async fn create_service_key(
        &self,
        new: &NewServiceKey,
        act: &Act,
    ) -> Result<ServiceKeyCreated, StoreError> {
        let (new, act) = (new.clone(), act.clone());
        self.detached("create_service_key", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = create_in(&mut tx, &new, &act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn revoke_service_key(
        &self,
        id: ServiceKeyId,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError> {
        let act = act.clone();
        self.detached("revoke_service_key", |db| async move {
            let mut tx = db.begin().await?;
            let values = vec![id.0.into(), act.now.into()];
            let rows = tx.run(statements::SERVICE_KEY_REVOKE, values).await?;
            let verdict = match rows.is_empty() {
                true => Verdict::Undo(None),
                false => Verdict::Commit(Some(told(&mut tx, &act).await?)),
            };
            Ok(tx.settle(verdict).await?)
        })
        .await
    }
}

async fn create_in(
    tx: &mut Tx,
    new: &NewServiceKey,
    act: &Act,
) -> Result<Verdict<ServiceKeyCreated>, DbError> {
    let values = vec![
        new.id.0.into(),
        new.name.as_str().into(),
        new.hash.0.as_slice().into(),
        Value::Json(records::names(&new.scopes)),
        act.now.into(),
        new.expires_at.into(),
    ];
    let rows = tx.run(statements::SERVICE_KEY_INSERT, values).await?;
    if rows.is_empty() {
        return Ok(Verdict::Undo(ServiceKeyCreated::NameTaken));
    }
    let announcements = told(tx, act).await?;
    Ok(Verdict::Commit(ServiceKeyCreated::Created(announcements)))
}

/// Leaves the event, and the announcement.
async fn told(tx: &mut Tx, act: &Act) -> Result<Vec<Announcement>, DbError> {
    append(tx, &[act.ink.write(&act.draft, None)]).await?;
    Ok(vec![announce(tx, Subject::KeysChanged, act).await?])
}
