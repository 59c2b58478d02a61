//! What the store beneath does by itself.

use std::sync::Arc;

use async_trait::async_trait;
use countersign_domain::audit::{Draft, Ink, Mark, Row, Salt, Sealed};
use countersign_domain::{EventId, ServiceKeyId, UserId};
use countersign_store::{
    Act, Announced, Announcement, Announcements, Audit, Chain, EventQuery, Housekeeping,
    InstallKey, KeyRecord, Keys, Link, NewKey, NewServiceKey, Purge, ServiceKeyCreated,
    ServiceKeyRecord, ServiceKeys, StoreError, StoredEvent,
};
use jiff::Timestamp;
use uuid::Uuid;

use crate::store::RedisStore;

#[async_trait]
impl Announcements for RedisStore {
    async fn announcements_after(
        &self,
        after: i64,
        now: Timestamp,
    ) -> Result<Vec<Announced>, StoreError> {
        self.detached(move |core| async move {
            let announced = core.beneath.announcements_after(after, now).await?;
            // Redis first: when this instance honours them, no session goes on as it was.
            let fresh = core
                .ears
                .not_applied(announced.iter().map(|one| &one.announcement));
            core.follow(&fresh).await;
            core.mark_followed().await;
            if after == 0 {
                core.ears.keep_only(&announced);
            }
            Ok(announced)
        })
        .await
    }

    async fn news(&self) -> Vec<Announcement> {
        let news = tokio::select! {
            news = self.core.ears.listen() => return news,
            // Of operators' commands, and of instances that have lost Redis.
            news = self.core.beneath.news() => news,
        };
        let fresh = self.core.ears.not_applied(&news);
        // Redis first, as above.
        let followed = self.detached(|core| async move {
            core.follow(&fresh).await;
            Ok(())
        });
        drop(followed.await);
        news
    }
}

#[async_trait]
impl Keys for RedisStore {
    async fn signing_keys(&self, now: Timestamp) -> Result<Vec<KeyRecord>, StoreError> {
        self.core.beneath.signing_keys(now).await
    }

    async fn install_key(
        &self,
        key: Option<&NewKey>,
        how: InstallKey,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError> {
        let (key, act) = (key.cloned(), act.clone());
        self.detached(move |core| async move {
            let installed = core.beneath.install_key(key.as_ref(), how, &act).await?;
            if let Some(announcements) = &installed {
                core.settle(announcements).await;
            }
            Ok(installed)
        })
        .await
    }

    async fn bind_root_secret(
        &self,
        fingerprint: &[u8],
        now: Timestamp,
    ) -> Result<Vec<u8>, StoreError> {
        self.core.beneath.bind_root_secret(fingerprint, now).await
    }
}

#[async_trait]
impl ServiceKeys for RedisStore {
    async fn service_keys(&self) -> Result<Vec<ServiceKeyRecord>, StoreError> {
        self.core.beneath.service_keys().await
    }

    async fn create_service_key(
        &self,
        new: &NewServiceKey,
        act: &Act,
    ) -> Result<ServiceKeyCreated, StoreError> {
        let (new, act) = (new.clone(), act.clone());
        self.detached(move |core| async move {
            let created = core.beneath.create_service_key(&new, &act).await?;
            if let ServiceKeyCreated::Created(announcements) = &created {
                core.settle(announcements).await;
            }
            Ok(created)
        })
        .await
    }

    async fn revoke_service_key(
        &self,
        id: ServiceKeyId,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError> {
        let act = act.clone();
        self.detached(move |core| async move {
            let revoked = core.beneath.revoke_service_key(id, &act).await?;
            if let Some(announcements) = &revoked {
                core.settle(announcements).await;
            }
            Ok(revoked)
        })
        .await
    }
}

#[async_trait]
impl Housekeeping for RedisStore {
    async fn take_lease(
        &self,
        name: &str,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.core.beneath.take_lease(name, holder, now, until).await
    }

    async fn purge(&self, what: Purge, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        self.core.beneath.purge(what, before, limit).await
    }
}

#[async_trait]
impl Audit for RedisStore {
    async fn append_events(&self, drafts: &[Draft], ink: &Arc<Ink>) -> Result<(), StoreError> {
        self.core.beneath.append_events(drafts, ink).await
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        self.core.beneath.event(id).await
    }

    async fn events(
        &self,
        query: &EventQuery,
        before: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.core.beneath.events(query, before, limit).await
    }

    async fn forget_addresses(&self, user: UserId) -> Result<bool, StoreError> {
        self.core.beneath.forget_addresses(user).await
    }

    async fn unsealed_events(
        &self,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        self.core.beneath.unsealed_events(after, limit).await
    }

    async fn stray_event(&self, through: u64) -> Result<Option<EventId>, StoreError> {
        self.core.beneath.stray_event(through).await
    }

    async fn chain(&self) -> Result<Chain, StoreError> {
        self.core.beneath.chain().await
    }

    async fn seal_events(
        &self,
        after: Option<&Mark>,
        links: &[Link],
        head: &Mark,
        checkpoint: Option<&Mark>,
    ) -> Result<bool, StoreError> {
        self.core
            .beneath
            .seal_events(after, links, head, checkpoint)
            .await
    }

    async fn sealed_events(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(Sealed, Option<Salt>)>, StoreError> {
        self.core.beneath.sealed_events(after, limit).await
    }

    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<Mark>, StoreError> {
        self.core.beneath.checkpoints(after, limit).await
    }

    async fn cut_events(&self, after: Option<&Mark>, cut: &Mark) -> Result<bool, StoreError> {
        self.core.beneath.cut_events(after, cut).await
    }
}
