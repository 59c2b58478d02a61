use async_trait::async_trait;
use countersign_domain::ServiceKeyId;
use countersign_domain::service_key::ServiceKeyHash;
use jiff::Timestamp;

use crate::{Act, Announcement, StoreError};

/// A service key as it is stored: what could be used of it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKeyRecord {
    /// Its id.
    pub id: ServiceKeyId,
    /// What operators call it. Of the keys that are not revoked, no two have the same name.
    pub name: String,
    /// The hash of its text.
    pub hash: ServiceKeyHash,
    /// The names of what it is good for: of a later version, some may be unknown.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused; `None`: never for its age.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A service key to be stored.
#[derive(Clone, Debug)]
pub struct NewServiceKey {
    /// Its id.
    pub id: ServiceKeyId,
    /// What operators call it.
    pub name: String,
    /// The hash of its text.
    pub hash: ServiceKeyHash,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// What came of making a service key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKeyCreated {
    /// It is stored.
    Created(Vec<Announcement>),
    /// A key that is not revoked has that name. Nothing was changed.
    NameTaken,
}

/// The keys of services, shared by all instances on one database. What changes them is announced as
/// [`Subject::KeysChanged`](crate::Subject::KeysChanged), which versions without service keys understand: they read their signing keys again.
#[async_trait]
pub trait ServiceKeys {
    /// All keys that were ever made, oldest first: also those that are revoked or expired. A key that was revoked is never answered as
    /// live again.
    async fn service_keys(&self) -> Result<Vec<ServiceKeyRecord>, StoreError>;

    /// Stores a key, with its event and its announcement, in one transaction. Of several with one name at once, one is stored.
    async fn create_service_key(
        &self,
        new: &NewServiceKey,
        act: &Act,
    ) -> Result<ServiceKeyCreated, StoreError>;

    /// Revokes a key, with the event and the announcement in the same transaction. `None`: there is no such key, or it
    /// is revoked already, and nothing was changed.
    async fn revoke_service_key(
        &self,
        id: ServiceKeyId,
        act: &Act,
    ) -> Result<Option<Vec<Announcement>>, StoreError>;
}
