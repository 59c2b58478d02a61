//! Keys of services: made and revoked by operators, and held in memory, so that services are let in while the database is away.

use std::collections::HashMap;
use std::sync::Arc;

use countersign_domain::ServiceKeyId;
use countersign_domain::audit::Kind;
use countersign_domain::rotation::later;
use countersign_domain::service_key::{ServiceKey, ServiceKeyHash, ServiceScope, is_name};
use countersign_store::{NewServiceKey, ServiceKeyCreated, ServiceKeyRecord};
use jiff::SignedDuration;

use crate::fault::Fault;
use crate::{Caller, Flows, random};

/// The keys that are not revoked, by the hash of their text.
pub(crate) type LiveKeys = HashMap<ServiceKeyHash, Arc<ServiceKeyRecord>>;

/// Why no service key was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateServiceKeyError {
    /// It cannot be called so.
    #[error(
        "a service key is called by 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`, and not like an id"
    )]
    InvalidName,
    /// Another one is called so.
    #[error(
        "another service key has this name: choose another one, or revoke that one with `countersign service-key revoke`"
    )]
    NameTaken,
    /// Something failed on the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A service whose key was good when it was asked for.
#[derive(Clone, Debug)]
pub struct Service(Arc<ServiceKeyRecord>);

impl Service {
    /// The key's id.
    pub fn id(&self) -> ServiceKeyId {
        self.0.id
    }
}

/// Why a service key is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceRefusal {
    /// There is no such key, or it was revoked, or has expired.
    Invalid,
    /// The key is not meant for that.
    OutOfScope,
}

impl Flows {
    /// Makes a service key. Its text is answered here and stored nowhere.
    pub async fn create_service_key(
        &self,
        name: &str,
        scopes: &[ServiceScope],
        lifetime: Option<SignedDuration>,
        caller: &Caller,
    ) -> Result<(NewServiceKey, ServiceKey), CreateServiceKeyError> {
        if !is_name(name) {
            return Err(CreateServiceKeyError::InvalidName);
        }
        let mut act = self.act_for(Kind::ServiceKeyCreated, caller);
        let key = ServiceKey::new(random::bytes(&*self.random));
        let scopes = scopes.iter().map(|scope| scope.as_str().to_owned());
        let new = NewServiceKey {
            id: ServiceKeyId::new(act.now, random::bytes(&*self.random)),
            name: name.to_owned(),
            hash: key.hash(),
            scopes: scopes.collect(),
            expires_at: lifetime.map(|lifetime| later(act.now, lifetime)),
        };
        let details = &mut act.draft.details;
        details.insert("service_key".to_owned(), new.id.to_string().into());
        details.insert("name".to_owned(), name.into());
        details.insert("scopes".to_owned(), new.scopes.clone().into());
        let created = self.store.create_service_key(&new, &act).await;
        match created.map_err(Fault::from)? {
            ServiceKeyCreated::NameTaken => Err(CreateServiceKeyError::NameTaken),
            ServiceKeyCreated::Created(announcements) => {
                self.honour(&announcements);
                self.reload_due().await?;
                Ok((new, key))
            }
        }
    }

    /// All service keys that were ever made, oldest first.
    pub async fn service_keys(&self) -> Result<Vec<ServiceKeyRecord>, Fault> {
        Ok(self.store.service_keys().await?)
    }

    /// Revokes the service key with this id, or the one that is called so and not revoked. What it has open ends within a second.
    /// `None`: there is none.
    pub async fn revoke_service_key(
        &self,
        id_or_name: &str,
        caller: &Caller,
    ) -> Result<Option<ServiceKeyRecord>, Fault> {
        let id = id_or_name.parse::<ServiceKeyId>().ok();
        let live = |key: &ServiceKeyRecord| key.revoked_at.is_none();
        let called = |key: &ServiceKeyRecord| Some(key.id) == id || key.name == id_or_name;
        let keys = self.store.service_keys().await?;
        let Some(key) = keys.into_iter().find(|key| live(key) && called(key)) else {
            return Ok(None);
        };
        let mut act = self.act_for(Kind::ServiceKeyRevoked, caller);
        let details = &mut act.draft.details;
        details.insert("service_key".to_owned(), key.id.to_string().into());
        details.insert("name".to_owned(), key.name.clone().into());
        match self.store.revoke_service_key(key.id, &act).await? {
            None => Ok(None),
            Some(announcements) => {
                self.honour(&announcements);
                self.reload_due().await?;
                Ok(Some(key))
            }
        }
    }

    /// Who presents this as a service key, if it is good for `scope`. No store is asked.
    pub fn service(&self, presented: &str, scope: ServiceScope) -> Result<Service, ServiceRefusal> {
        let hash = ServiceKeyHash::presented(presented).ok_or(ServiceRefusal::Invalid)?;
        let keys = self.service_keys.load();
        let key = keys.get(&hash).ok_or(ServiceRefusal::Invalid)?;
        let service = Service(Arc::clone(key));
        match (
            self.is_live(&service),
            key.scopes.iter().any(|has| has == scope.as_str()),
        ) {
            (false, _) => Err(ServiceRefusal::Invalid),
            (true, false) => Err(ServiceRefusal::OutOfScope),
            (true, true) => Ok(service),
        }
    }

    /// Whether the service's key is still good.
    pub fn is_live(&self, service: &Service) -> bool {
        let now = self.clock.now();
        service.0.expires_at.is_none_or(|at| now < at)
            && self.service_keys.load().contains_key(&service.0.hash)
    }

    pub(crate) async fn reload_service_keys(&self) -> Result<(), Fault> {
        let keys = self.store.service_keys().await?.into_iter();
        let live = keys.filter(|key| key.revoked_at.is_none());
        let live = live.map(|key| (key.hash, Arc::new(key)));
        self.service_keys.store(Arc::new(live.collect()));
        Ok(())
    }
}
