use countersign_domain::audit::Kind;
use countersign_store::InstallKey;
use countersign_token::Algorithm;
use jiff::Timestamp;

use crate::fault::Fault;
use crate::keys::KeyView;
use crate::open::note_key;
use crate::{Caller, Flows};

/// How to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next key is published first and signs later; the old ones verify until their last
    /// token has expired. No client notices.
    Scheduled,
    /// A private key may have leaked: the new key signs at once, every access token from before is refused at
    /// once, and every session of everybody has ended: whoever could sign tokens could act as anybody.
    Emergency,
}

impl Flows {
    /// The stored signing keys, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<KeyView>, Fault> {
        self.reload_keys(self.clock.now()).await?;
        Ok(self.keys.load().views().to_vec())
    }

    /// Makes the next signing key, of the algorithm that is in use, and answers when it signs.
    /// Under HS256 the key is a setting: `None`, and in an emergency stored keys of an earlier algorithm are dropped.
    pub async fn rotate_keys(
        &self,
        rotation: Rotation,
        caller: &Caller,
    ) -> Result<Option<Timestamp>, Fault> {
        let now = self.clock.now();
        let (activates_at, others_expire_at) = self.key_schedule(now);
        let (how, signs_at) = match rotation {
            Rotation::Scheduled => (
                InstallKey::Rotate {
                    activates_at,
                    others_expire_at,
                },
                activates_at,
            ),
            Rotation::Emergency => (InstallKey::Emergency, now),
        };
        let key = match self.algorithm_in_use(now).await? {
            Algorithm::Hs256 if rotation == Rotation::Scheduled => return Ok(None),
            Algorithm::Hs256 => None,
            algorithm => Some(self.new_key(algorithm)?),
        };
        let kind = match rotation {
            Rotation::Scheduled => Kind::KeyRotated,
            Rotation::Emergency => Kind::KeyEmergency,
        };
        let mut act = self.act_for(kind, caller);
        if let Some(key) = &key {
            note_key(&mut act, key);
        }
        let announcements = self.store.install_key(key.as_ref(), how, &act).await?;
        self.honour(&announcements.unwrap_or_default());
        self.reload_due().await?;
        Ok(key.map(|_| signs_at))
    }

    /// The stored keys tell; an operator's settings may be others than the server's. Only where none
    /// is in use do the settings count.
    async fn algorithm_in_use(&self, now: Timestamp) -> Result<Algorithm, Fault> {
        let records = self.store.signing_keys(now).await?;
        let in_use = records.iter().rev().find(|key| key.expires_at.is_none());
        let stored = in_use.and_then(|key| key.algorithm.parse().ok());
        Ok(stored.unwrap_or(self.policy.algorithm))
    }
}
