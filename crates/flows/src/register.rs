use countersign_domain::limits::Return;
use countersign_store::User;

use crate::fault::Fault;
use crate::limits::{Counted, Effect};
use crate::users::{CreateUser, CreateUserError};
use crate::{Caller, FieldError, Flows};

/// A registration, as somebody typed it.
pub struct Registration {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
    /// The display name.
    pub name: Option<String>,
}

/// Why a registration was not accepted.
#[derive(Debug)]
pub enum RegistrationError {
    /// Fields that were not accepted.
    Invalid(Vec<FieldError>),
    /// Another user has that address.
    EmailTaken,
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for RegistrationError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// Registers a user. It is not signed in by that. An address that is taken counts as well: how often somebody may
    /// find out that one is, is limited by this.
    pub async fn register(
        &self,
        registration: &Registration,
        caller: &Caller,
    ) -> Counted<User, RegistrationError> {
        let limits = self.limit_registration(caller);
        self.counted(
            limits,
            caller,
            self.try_register(registration, caller),
            |outcome| match outcome {
                Ok(_) | Err(RegistrationError::EmailTaken) => Effect::Counts,
                Err(RegistrationError::Invalid(_) | RegistrationError::Fault(_)) => {
                    Effect::GiveBack(Return::Unused)
                }
            },
        )
        .await
    }

    async fn try_register(
        &self,
        registration: &Registration,
        caller: &Caller,
    ) -> Result<User, RegistrationError> {
        let new = CreateUser {
            email: &registration.email,
            password: Some(&registration.password),
            name: registration.name.as_deref(),
            roles: Vec::new(),
            from: caller.block(),
        };
        let user = self
            .users(caller)
            .create(new)
            .await
            .map_err(|error| match error {
                CreateUserError::Invalid(errors) => RegistrationError::Invalid(errors),
                CreateUserError::EmailTaken => RegistrationError::EmailTaken,
                CreateUserError::Fault(fault) => RegistrationError::Fault(fault),
            })?;
        tracing::info!(user = %user.id, request_id = caller.request_id, "registered");
        Ok(user)
    }
}
