use std::sync::Arc;

use countersign_store::{Actor, Patched, User, UserChange};

use crate::Flows;
use crate::access::Authenticated;
use crate::fault::{Fault, FieldError};
use crate::users::check_name;

/// What users may change about themselves.
pub struct ProfilePatch {
    /// `Some(None)` removes the display name, `None` leaves it.
    pub name: Option<Option<String>>,
}

/// Why a profile was not answered or changed.
#[derive(Debug)]
pub enum ProfileError {
    /// Fields that were not accepted.
    Invalid(Vec<FieldError>),
    /// The session has ended, or its user is gone.
    SessionEnded,
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for ProfileError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Flows {
    /// The signed-in user. Costs no query where the user is in memory.
    pub async fn profile(&self, who: &Authenticated) -> Result<Arc<User>, ProfileError> {
        match self.users().get(who.user()).await.map_err(Fault::from)? {
            Some(user) if user.disabled_at.is_none() => Ok(user),
            _ => Err(ProfileError::SessionEnded),
        }
    }

    /// Changes the signed-in user's own profile.
    pub async fn change_profile(
        &self,
        who: &Authenticated,
        patch: ProfilePatch,
    ) -> Result<User, ProfileError> {
        let mut errors = Vec::new();
        let name = patch
            .name
            .map(|name| name.and_then(|name| check_name(&name, &mut errors)));
        if !errors.is_empty() {
            return Err(ProfileError::Invalid(errors));
        }
        let change = UserChange {
            name,
            ..UserChange::default()
        };
        let actor = Actor::Session(who.session());
        match self.users().change(who.user(), &change, actor).await? {
            Patched::Changed(user, _) => Ok(user),
            _ => Err(ProfileError::SessionEnded),
        }
    }
}
