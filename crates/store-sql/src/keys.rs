use async_trait::async_trait;
use countersign_store::{
    Act, Announcement, InstallKey, KeyRecord, Keys, NewKey, StoreError, Subject,
};
use jiff::Timestamp;

use crate::announcements::announce;
use crate::audit::append;
use crate::driver::{DbError, Row, Tx, Verdict, micros};
use crate::{SqlStore, records, statements};

#[async_trait]
impl Keys for SqlStore {
    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = self
            .read("signing_keys", statements::KEYS, vec![now.into()])
            .await?;
        Ok(records::all(&rows, records::key)?)
    }

    async fn install_key(
        &self,
        key: Option<&NewKey>,
        how: InstallKey,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError> {
        let (key, act) = (key.cloned(), act.clone());
        self.detached("install_key", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = install_in(&mut tx, key.as_ref(), how, act).await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn bind_root_secret(
        &self,
        fingerprint: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        // Read first: every start but the first then works on a database that takes no writes.
        let rows = self
            .read("bind_root_secret", statements::SECRET_FINGERPRINT, vec![])
            .await?;
        let stored = records::first(&rows, |row| row.columns().take_opt::<Vec<u8>>())?;
        if let Some(stored) = stored.flatten() {
            return Ok(stored);
        }
        let values = vec![fingerprint.into(), now.into()];
        let rows = self
            .write("bind_root_secret", statements::SECRET_BIND, values)
            .await?;
        let bound = records::first(&rows, |row: &Row| row.columns().take())?;
        bound.ok_or_else(|| StoreError::Corrupt("a bound secret did not come back".to_owned()))
    }
}

async fn install_in(
    tx: &mut Tx,
    key: Option<&NewKey>,
    how: InstallKey,
    act: Act,
) -> Result<Verdict<Option<Vec<Announcement>>>, DbError> {
    let now = act.now;
    tx.run(statements::INSTALLATION_LOCK, vec![now.into()])
        .await?;
    let rows = tx.run(statements::KEYS, vec![now.into()]).await?;
    let present = records::all(&rows, records::key)?;
    let in_use = |present: &KeyRecord| {
        let same = |key: &NewKey| key.algorithm == present.algorithm;
        present.expires_at.is_none() && key.is_some_and(same)
    };
    let mut announcements = Vec::new();
    let activates_at = match how {
        InstallKey::IfMissing { .. } if present.iter().any(in_use) => {
            return Ok(Verdict::Undo(None));
        }
        // Nobody knows any key yet, so nobody has to learn this one before it signs.
        InstallKey::IfMissing { .. } | InstallKey::Rotate { .. } if present.is_empty() => now,
        InstallKey::IfMissing {
            activates_at,
            others_expire_at,
        }
        | InstallKey::Rotate {
            activates_at,
            others_expire_at,
        } => {
            let values = vec![others_expire_at.into()];
            tx.run(statements::KEYS_EXPIRE, values).await?;
            activates_at
        }
        InstallKey::Emergency => {
            tx.run(statements::KEYS_DELETE, vec![]).await?;
            let values = vec![now.into(), act.event().0.into()];
            tx.run(statements::SESSIONS_END_EVERYBODYS, values).await?;
            let not_before = micros(now);
            announcements.push(announce(tx, Subject::Everybody { not_before }, &act).await?);
            tx.run(statements::COPY_EPOCH_RAISE, vec![]).await?;
            now
        }
    };
    if let Some(key) = key {
        insert(tx, key, now, activates_at).await?;
    }
    append(tx, &[act.ink.write(&act.draft, None)]).await?;
    announcements.push(announce(tx, Subject::KeysChanged, &act).await?);
    Ok(Verdict::Commit(Some(announcements)))
}

async fn insert(
    tx: &mut Tx,
    key: &NewKey,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<(), DbError> {
    let values = vec![
        key.kid.as_str().into(),
        key.algorithm.as_str().into(),
        key.public_jwk.as_str().into(),
        key.sealed_private.as_slice().into(),
        now.into(),
        activates_at.into(),
    ];
    tx.run(statements::KEY_INSERT, values).await?;
    Ok(())
}
