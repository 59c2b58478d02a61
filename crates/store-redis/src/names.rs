//! The names of keys: `cs:`, eight characters that tell installations apart, and what it is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_domain::SessionId;
use countersign_store::LimitKey;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    tag: String,
    pub(crate) epoch: u64,
}

impl Names {
    pub(crate) fn new(installation: Uuid, epoch: u64) -> Self {
        let start: Vec<u8> = installation.as_bytes().iter().copied().take(6).collect();
        let tag = URL_SAFE_NO_PAD.encode(start);
        Self { tag, epoch }
    }

    /// What begins every key of a session.
    pub(crate) fn epoch(&self) -> String {
        format!("cs:{}:{}", self.tag, self.epoch)
    }

    pub(crate) fn session(&self, id: SessionId) -> String {
        let id = URL_SAFE_NO_PAD.encode(id.0.as_bytes());
        format!("cs:{}:{}:{id}", self.tag, self.epoch)
    }

    /// Counts go on through epochs: what is lost or old of them does no harm.
    pub(crate) fn limit(&self, key: LimitKey) -> String {
        format!("cs:{}:l:{}", self.tag, URL_SAFE_NO_PAD.encode(key.0))
    }

    /// The stream by which instances tell each other what they announced, in whatever epoch.
    pub(crate) fn news(&self) -> String {
        format!("cs:{}:news", self.tag)
    }

    /// There while some instance has followed what was announced since this epoch began, and not long ago.
    pub(crate) fn followed(&self) -> String {
        format!("cs:{}:{}:followed", self.tag, self.epoch)
    }

    /// The greatest epoch that anybody who reaches both Redis and the database knows of.
    pub(crate) fn newest(&self) -> String {
        format!("cs:{}:newest", self.tag)
    }

    /// One of the hashes of the instances that cannot write what they acknowledged.
    pub(crate) fn behind(&self, number: u8) -> String {
        format!("cs:{}:behind:{number}", self.tag)
    }

    /// Written to find out whether writing works.
    pub(crate) fn probe(&self) -> String {
        format!("cs:{}:probe", self.tag)
    }
}
