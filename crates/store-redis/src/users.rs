use async_trait::async_trait;
use countersign_domain::UserId;
use countersign_domain::email::EmailKey;
use countersign_store::{
    Act, Announcement, Created, Credentials, Deleted, NewUser, PasswordSet, Patched, SetPassword,
    StoreError, User, UserChange, Users,
};

use crate::store::RedisStore;

#[async_trait]
impl Users for RedisStore {
    async fn create_user(&self, new: &NewUser, act: &Act) -> Result<Created, StoreError> {
        self.core.beneath.create_user(new, act).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.core.beneath.user(id).await
    }

    async fn user_by_email(&self, key: &EmailKey) -> Result<Option<User>, StoreError> {
        self.core.beneath.user_by_email(key).await
    }

    async fn credentials_by_email(
        &self,
        key: &EmailKey,
    ) -> Result<Option<Credentials>, StoreError> {
        self.core.beneath.credentials_by_email(key).await
    }

    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError> {
        self.core.beneath.credentials(id).await
    }

    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.core.beneath.list_users(after, limit).await
    }

    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        act: &Act,
    ) -> Result<Patched, StoreError> {
        let (change, act) = (change.clone(), act.clone());
        self.detached(move |core| async move {
            core.write_what_is_known_of(&act).await?;
            let patched = core.beneath.change_user(id, &change, &act).await?;
            if let Patched::Changed(_, announcements) = &patched {
                core.settle(announcements).await;
            }
            Ok(patched)
        })
        .await
    }

    async fn outdate_tokens(&self, id: UserId, act: &Act) -> Result<Vec<Announcement>, StoreError> {
        let act = act.clone();
        self.detached(move |core| async move {
            let announcements = core.beneath.outdate_tokens(id, &act).await?;
            core.settle(&announcements).await;
            Ok(announcements)
        })
        .await
    }

    async fn set_password(
        &self,
        id: UserId,
        set: &SetPassword,
        act: &Act,
    ) -> Result<PasswordSet, StoreError> {
        let (set, act) = (set.clone(), act.clone());
        self.detached(move |core| async move {
            core.write_what_is_known_of(&act).await?;
            let done = core.beneath.set_password(id, &set, &act).await?;
            if let PasswordSet::Set(announcements) = &done {
                core.settle(announcements).await;
            }
            Ok(done)
        })
        .await
    }

    async fn delete_user(
        &self,
        id: UserId,
        expected: Option<&str>,
        act: &Act,
    ) -> Result<Deleted, StoreError> {
        let (expected, act) = (expected.map(str::to_owned), act.clone());
        self.detached(move |core| async move {
            core.write_what_is_known_of(&act).await?;
            let deleted = core
                .beneath
                .delete_user(id, expected.as_deref(), &act)
                .await?;
            if let Deleted::Deleted(announcements) = &deleted {
                core.settle(announcements).await;
            }
            Ok(deleted)
        })
        .await
    }
}
