use countersign_domain::audit::Kind;
use countersign_domain::limits::Return;
use countersign_store::Deleted;

use crate::access::Authenticated;
use crate::audit::Trace;
use crate::fault::Fault;
use crate::limits::{Counted, Effect};
use crate::{Caller, Flows};

/// Why an account was not deleted.
#[derive(Debug)]
pub enum DeleteAccountError {
    /// The password is not that, or has just been changed by somebody else.
    WrongPassword,
    /// The session has ended.
    SessionEnded(Trace),
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for DeleteAccountError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Deletes the signed-in user, who proves the password once more, with everything that belongs
    /// to the user.
    pub async fn delete_account(
        &self,
        who: &Authenticated,
        password: &str,
        caller: &Caller,
    ) -> Counted<(), DeleteAccountError> {
        let limits = self.limit_password_again(who);
        self.counted(
            limits,
            caller,
            self.try_delete_account(who, password, caller),
            |outcome| match outcome {
                Ok(()) => Effect::GiveBack(Return::Right),
                Err(
                    DeleteAccountError::WrongPassword
                    | DeleteAccountError::Fault(Fault::Unrecorded(_)),
                ) => Effect::Counts,
                Err(_) => Effect::GiveBack(Return::Unused),
            },
        )
        .await
    }

    async fn try_delete_account(
        &self,
        who: &Authenticated,
        password: &str,
        caller: &Caller,
    ) -> Result<(), DeleteAccountError> {
        let credentials = self
            .store
            .credentials(who.user())
            .await
            .map_err(Fault::from)?;
        let Some(proven) = self
            .prove_password(password, caller.block(), credentials)
            .await?
        else {
            let (user, session) = (who.user(), who.session());
            self.record_refused_password(user, session, caller).await?;
            return Err(DeleteAccountError::WrongPassword);
        };
        let act = self.act_of(Kind::UserDeleted, who.session(), caller);
        let expected = Some(proven.password_hash.as_str());
        let deleting = self.store.delete_user(who.user(), expected, &act);
        match deleting.await.map_err(Fault::from)? {
            Deleted::Deleted(announcements) => {
                self.honour(&announcements);
                self.forget_addresses(who.user()).await;
                tracing::info!(user = %who.user(), request_id = caller.request_id, "account deleted");
                Ok(())
            }
            Deleted::Conflict => Err(DeleteAccountError::WrongPassword),
            Deleted::NotFound | Deleted::ActorEnded => {
                let trace = self.trace(who.session()).await?;
                Err(DeleteAccountError::SessionEnded(trace))
            }
        }
    }
}
