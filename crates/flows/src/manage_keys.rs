use countersign_store::InstallKey;
use countersign_token::Algorithm;
use jiff::Timestamp;

use crate::Flows;
use crate::fault::Fault;
use crate::keys::KeyView;

/// How to rotate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next key is published first and signs later; the old ones verify until their last
    /// token has expired. No client notices.
    Scheduled,
    /// A private key may have leaked: the new key signs at once and every access token signed by an old
    /// one is refused at once. Clients refresh and go on; sessions stay.
    Emergency,
}

impl Flows {
    /// The stored signing keys, oldest first.
    pub async fn signing_keys(&self) -> Result<Vec<KeyView>, Fault> {
        self.reload_keys(self.clock.now()).await?;
        Ok(self.keys.load().views().to_vec())
    }

    /// Makes the next signing key. Answers when it signs, or `None` under HS256, where the key is
    /// a setting.
    pub async fn rotate_keys(&self, rotation: Rotation) -> Result<Option<Timestamp>, Fault> {
        if self.policy.algorithm == Algorithm::Hs256 {
            return Ok(None);
        }
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
        self.store.install_key(&self.new_key()?, how, now).await?;
        self.reload_keys(now).await?;
        Ok(Some(signs_at))
    }
}
