use std::sync::Arc;

use countersign_domain::audit::Kind;
use countersign_store::{Patched, User, UserChange};

use crate::access::Authenticated;
use crate::audit::Trace;
use crate::fault::{Fault, FieldError};
use crate::users::{check_name, note_change};
use crate::{Caller, Flows};

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
    SessionEnded(Trace),
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
        match self.user(who.user()).await.map_err(Fault::from)? {
            Some(user) if user.disabled_at.is_none() => Ok(user),
            _ => Err(ProfileError::SessionEnded(self.trace(who.session()).await?)),
        }
    }

    /// Changes the signed-in user's own profile.
    pub async fn change_profile(
        &self,
        who: &Authenticated,
        patch: ProfilePatch,
        caller: &Caller,
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
        let mut act = self.act_of(Kind::UserChanged, who.session(), caller);
        note_change(&mut act, &change);
        match self.change_user(who.user(), &change, &act).await? {
            Patched::Changed(user, _) => Ok(user),
            _ => Err(ProfileError::SessionEnded(self.trace(who.session()).await?)),
        }
    }
}
