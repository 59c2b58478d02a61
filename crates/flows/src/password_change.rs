use countersign_domain::audit::Kind;
use countersign_domain::limits::Return;
use countersign_store::{PasswordSet, SetPassword};

use crate::access::Authenticated;
use crate::audit::Trace;
use crate::fault::{Fault, FieldError};
use crate::limits::{Counted, Effect};
use crate::users::check_password;
use crate::{Caller, Flows};

/// A change of password, as somebody typed it.
pub struct PasswordChange {
    /// The password so far.
    pub current: String,
    /// The password from now on.
    pub new: String,
}

/// Why a password was not changed.
#[derive(Debug)]
pub enum PasswordChangeError {
    /// The current password is not that, or has just been changed by somebody else.
    WrongPassword,
    /// The new one was not accepted.
    Invalid(Vec<FieldError>),
    /// The session has ended.
    SessionEnded(Trace),
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for PasswordChangeError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Changes the signed-in user's password and ends every other session of the user.
    pub async fn change_password(
        &self,
        who: &Authenticated,
        change: &PasswordChange,
        caller: &Caller,
    ) -> Counted<(), PasswordChangeError> {
        let limits = self.limit_password_again(who);
        self.counted(
            limits,
            caller,
            self.try_change_password(who, change, caller),
            |outcome| match outcome {
                Ok(()) => Effect::GiveBack(Return::Right),
                Err(
                    PasswordChangeError::WrongPassword
                    | PasswordChangeError::Fault(Fault::Unrecorded(_)),
                ) => Effect::Counts,
                Err(_) => Effect::GiveBack(Return::Unused),
            },
        )
        .await
    }

    async fn try_change_password(
        &self,
        who: &Authenticated,
        change: &PasswordChange,
        caller: &Caller,
    ) -> Result<(), PasswordChangeError> {
        let mut errors = Vec::new();
        let Some(new) = check_password(&change.new, "new_password", &mut errors) else {
            return Err(PasswordChangeError::Invalid(errors));
        };
        let credentials = self
            .store
            .credentials(who.user())
            .await
            .map_err(Fault::from)?;
        let Some(proven) = self
            .prove_password(&change.current, caller.block(), credentials)
            .await?
        else {
            let (user, session) = (who.user(), who.session());
            self.record_refused_password(user, session, caller).await?;
            return Err(PasswordChangeError::WrongPassword);
        };
        let set = SetPassword {
            expected: Some(proven.password_hash),
            hash: self.users(caller).hash(caller.block(), new).await?,
        };
        let act = self.act_of(Kind::PasswordChanged, who.session(), caller);
        let setting = self.store.set_password(who.user(), &set, &act);
        match setting.await.map_err(Fault::from)? {
            PasswordSet::Set(announcements) => {
                self.honour(&announcements);
                tracing::info!(user = %who.user(), request_id = caller.request_id, "password changed");
                Ok(())
            }
            PasswordSet::Conflict => Err(PasswordChangeError::WrongPassword),
            PasswordSet::NotFound | PasswordSet::ActorEnded => {
                let trace = self.trace(who.session()).await?;
                Err(PasswordChangeError::SessionEnded(trace))
            }
        }
    }
}
