//! The one way to find out whether a password is somebody's, for sign-in and for every act that
//! asks for the password again.

use countersign_domain::address::AddressBlock;
use countersign_domain::password::PresentedPassword;
use countersign_store::Credentials;

use crate::Flows;
use crate::fault::Fault;

/// A password that was right for credentials as they were read.
pub(crate) struct Proven {
    pub(crate) credentials: Credentials,
    /// The stored hash that the password was right for.
    pub(crate) password_hash: String,
    /// Its hash should be replaced.
    pub(crate) rehash: bool,
}

impl Flows {
    /// Compares. The work is the same whether there are credentials or not, whether they have a
    /// password or not, and however long the presented one is.
    pub(crate) async fn prove_password(
        &self,
        presented: &str,
        from: AddressBlock,
        credentials: Option<Credentials>,
    ) -> Result<Option<Proven>, Fault> {
        let stored = credentials.as_ref().and_then(|c| c.password_hash.clone());
        let presented = PresentedPassword::new(presented);
        let checked = self.hashing.check(from, presented, stored.clone()).await?;
        Ok(match (checked.matches, credentials, stored) {
            (true, Some(credentials), Some(password_hash)) => Some(Proven {
                credentials,
                password_hash,
                rehash: checked.rehash,
            }),
            _ => None,
        })
    }
}
