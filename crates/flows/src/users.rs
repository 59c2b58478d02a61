//! The user service: the one way to make, find, change and remove users, for HTTP and for the
//! command line.

use std::sync::Arc;

use countersign_domain::UserId;
use countersign_domain::address::AddressBlock;
use countersign_domain::audit::{By, Kind, Salt};
use countersign_domain::email::Email;
use countersign_domain::password::{NewPassword, PasswordHash, PasswordIssue};
use countersign_domain::rotation::EndReason;
use countersign_store::{
    Act, Actor, Announcement, Created, Deleted, Ended, NewUser, PasswordSet, Patched, Scope,
    SetPassword, StoreError, Subject, User, UserChange,
};

use crate::fault::{Fault, FieldError};
use crate::{Caller, Flows, random};

/// The longest display name, in characters.
pub(crate) const MAX_NAME: usize = 200;

/// A user to be created, as somebody typed it.
#[derive(Default)]
pub struct CreateUser<'a> {
    /// The e-mail address.
    pub email: &'a str,
    /// The password; `None` makes a user who cannot sign in by password.
    pub password: Option<&'a str>,
    /// The display name.
    pub name: Option<&'a str>,
    /// Role names.
    pub roles: Vec<String>,
    /// In whose turn the password is hashed.
    pub from: AddressBlock,
}

/// Why no user was created.
#[derive(Debug, thiserror::Error)]
pub enum CreateUserError {
    /// Fields that were not accepted.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// Another user has that address.
    #[error("another user has this e-mail address")]
    EmailTaken,
    /// Something failed on the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a user was not changed.
#[derive(Debug, thiserror::Error)]
pub enum UpdateUserError {
    /// Fields that were not accepted.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// Another user has that address.
    #[error("another user has this e-mail address")]
    EmailTaken,
    /// No such user.
    #[error("there is no such user")]
    NotFound,
    /// Something failed on the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Users, as [`Flows::users`] gives them out. Calls act with full rights.
pub struct UserService<'a>(&'a Flows, &'a Caller);

impl Flows {
    /// The user service, for somebody: an operator, or a caller who registers.
    pub fn users<'a>(&'a self, caller: &'a Caller) -> UserService<'a> {
        UserService(self, caller)
    }

    /// The user with this id. From memory where possible: what is in memory is at most as old as
    /// the last announcement that this instance has followed.
    pub(crate) async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        let store = &self.store;
        self.user_cache.get_or_load(id, || store.user(id)).await
    }

    pub(crate) async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        act: &Act,
    ) -> Result<Patched, Fault> {
        let patched = self.store.change_user(id, change, act).await?;
        if let Patched::Changed(_, announcements) = &patched {
            self.honour(announcements);
            let outdates = |one: &Announcement| matches!(one.subject, Subject::User { .. });
            if change.roles.is_some() && announcements.iter().any(outdates) {
                let mut later = act.clone();
                later.now = self.clock.now();
                self.honour(&self.store.outdate_tokens(id, &later).await?);
            }
        }
        Ok(patched)
    }
}

impl UserService<'_> {
    /// The user with this id, as the store has it or this instance remembers.
    pub async fn get(&self, id: UserId) -> Result<Option<Arc<User>>, StoreError> {
        self.0.user(id).await
    }

    /// The user with this e-mail address, however it is spelled. An address that cannot be one is
    /// nobody's.
    pub async fn get_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        match Email::parse(email) {
            Ok(email) => self.0.store.user_by_email(email.key()).await,
            Err(_) => Ok(None),
        }
    }

    /// Users by age, `limit` at most, after the one with the id `after`.
    pub async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError> {
        self.0.store.list_users(after, limit).await
    }

    /// Creates a user. All fields are checked before anything is hashed.
    pub async fn create(&self, new: CreateUser<'_>) -> Result<User, CreateUserError> {
        let flows = self.0;
        let mut errors = Vec::new();
        let email = check_email(new.email, "email", &mut errors);
        let password = new
            .password
            .and_then(|raw| check_password(raw, "password", &mut errors));
        let name = new.name.and_then(|raw| check_name(raw, &mut errors));
        check_roles(&new.roles, &mut errors);
        let Some(email) = email.filter(|_| errors.is_empty()) else {
            return Err(CreateUserError::Invalid(errors));
        };
        // Saves the hash where the answer is known; the insert below is what decides.
        let taken = flows.store.user_by_email(email.key()).await;
        if taken.map_err(Fault::from)?.is_some() {
            return Err(CreateUserError::EmailTaken);
        }
        let password_hash = match password {
            Some(password) => Some(self.hash(new.from, password).await?),
            None => None,
        };
        let act = match &self.1.operator {
            Some(_) => flows.act_for(Kind::UserCreated, self.1),
            None => flows.act(Kind::UserRegistered, By::Anybody, Actor::Trusted, self.1),
        };
        let user = NewUser {
            id: UserId::new(act.now, random::bytes(&*flows.random)),
            email: email.as_typed().to_owned(),
            email_key: email.key().clone(),
            password_hash,
            name,
            roles: new.roles,
            email_verified_at: None,
            audit_salt: Salt(random::bytes(&*flows.random)),
        };
        match flows
            .store
            .create_user(&user, &act)
            .await
            .map_err(Fault::from)?
        {
            Created::Created(user) => Ok(user),
            Created::EmailTaken => Err(CreateUserError::EmailTaken),
        }
    }

    /// Changes a user. Disabling ends all of the user's sessions before this returns.
    pub async fn update(&self, id: UserId, change: UserChange) -> Result<User, UpdateUserError> {
        let mut errors = Vec::new();
        if let Some(Some(name)) = &change.name {
            check_name(name, &mut errors);
        }
        check_roles(change.roles.as_deref().unwrap_or_default(), &mut errors);
        if !errors.is_empty() {
            return Err(UpdateUserError::Invalid(errors));
        }
        let kind = match &change {
            UserChange {
                disabled: Some(true),
                ..
            } => Kind::UserDisabled,
            UserChange {
                disabled: Some(false),
                ..
            } => Kind::UserEnabled,
            UserChange { roles: Some(_), .. } => Kind::RolesChanged,
            _ => Kind::UserChanged,
        };
        let mut act = self.0.act_for(kind, self.1);
        note_change(&mut act, &change);
        match self.0.change_user(id, &change, &act).await? {
            Patched::Changed(user, _) => Ok(user),
            Patched::EmailTaken => Err(UpdateUserError::EmailTaken),
            Patched::NotFound | Patched::ActorEnded => Err(UpdateUserError::NotFound),
        }
    }

    /// Sets a password and ends every session of the user.
    pub async fn set_password(&self, id: UserId, password: &str) -> Result<(), UpdateUserError> {
        let mut errors = Vec::new();
        let Some(password) = check_password(password, "password", &mut errors) else {
            return Err(UpdateUserError::Invalid(errors));
        };
        let set = SetPassword {
            expected: None,
            hash: self.hash(AddressBlock::None, password).await?,
        };
        let flows = self.0;
        let act = flows.act_for(Kind::PasswordSet, self.1);
        let outcome = flows.store.set_password(id, &set, &act);
        match outcome.await.map_err(Fault::from)? {
            PasswordSet::Set(announcements) => {
                flows.honour(&announcements);
                Ok(())
            }
            _ => Err(UpdateUserError::NotFound),
        }
    }

    /// Ends every session of the user. Answers how many were live; `None`: no such user.
    pub async fn sign_out(&self, id: UserId) -> Result<Option<usize>, Fault> {
        let flows = self.0;
        let act = flows.act_for(Kind::SessionsRevoked, self.1);
        let (scope, reason) = (Scope::All, EndReason::Operator);
        let ending = flows.store.end_sessions(id, scope, reason, &act);
        match ending.await? {
            Ended::Ended(announcements) => {
                flows.honour(&announcements);
                Ok(Some(announcements.len()))
            }
            Ended::NotFound | Ended::ActorEnded => Ok(None),
        }
    }

    /// Deletes a user with everything that belongs to it. `false`: no such user.
    pub async fn delete(&self, id: UserId) -> Result<bool, Fault> {
        let flows = self.0;
        let act = flows.act_for(Kind::UserDeleted, self.1);
        let deleting = flows.store.delete_user(id, None, &act);
        match deleting.await? {
            Deleted::Deleted(announcements) => {
                flows.honour(&announcements);
                flows.forget_addresses(id).await;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(crate) async fn hash(
        &self,
        from: AddressBlock,
        password: NewPassword,
    ) -> Result<PasswordHash, Fault> {
        let salt = random::bytes(&*self.0.random);
        Ok(self.0.hashing.hash(from, password, salt).await?)
    }
}

/// Says which fields a change is about; never what they hold.
pub(crate) fn note_change(act: &mut Act, change: &UserChange) {
    let fields = [
        ("name", change.name.is_some()),
        ("roles", change.roles.is_some()),
        ("email", change.email.is_some()),
    ];
    let changed: Vec<_> = fields.into_iter().filter(|(_, changed)| *changed).collect();
    if !changed.is_empty() {
        let names: Vec<_> = changed.into_iter().map(|(name, _)| name).collect();
        act.draft.details.insert("changed".to_owned(), names.into());
    }
}

fn check_email(raw: &str, field: &'static str, errors: &mut Vec<FieldError>) -> Option<Email> {
    let checked = Email::parse(raw);
    if checked.is_err() {
        errors.push(FieldError {
            field,
            code: "email_invalid",
            detail: "not an e-mail address of the form `name@example.org`".to_owned(),
        });
    }
    checked.ok()
}

/// Checks a password that somebody wants to have.
pub(crate) fn check_password(
    raw: &str,
    field: &'static str,
    errors: &mut Vec<FieldError>,
) -> Option<NewPassword> {
    match NewPassword::parse(raw) {
        Ok(password) => Some(password),
        Err(issue) => {
            let (code, detail) = match issue {
                PasswordIssue::TooShort => ("password_too_short", "at least 8 characters"),
                PasswordIssue::TooLong => ("password_too_long", "at most 1,024 bytes"),
                PasswordIssue::Common => (
                    "password_breached",
                    "on the list of passwords that attackers try first; choose another",
                ),
            };
            errors.push(FieldError {
                field,
                code,
                detail: detail.to_owned(),
            });
            None
        }
    }
}

/// Checks a display name, and takes the white space around it away; nothing left is no name.
pub(crate) fn check_name(raw: &str, errors: &mut Vec<FieldError>) -> Option<String> {
    let name = raw.trim();
    let problem = match name {
        _ if name.chars().count() > MAX_NAME => Some(("name_too_long", "at most 200 characters")),
        _ if name.chars().any(|c| c.is_control() || turns_text_around(c)) => {
            Some(("name_invalid", "without control characters"))
        }
        _ => None,
    };
    if let Some((code, detail)) = problem {
        errors.push(FieldError {
            field: "name",
            code,
            detail: detail.to_owned(),
        });
        return None;
    }
    (!name.is_empty()).then(|| name.to_owned())
}

/// The explicit directional formatting characters of Unicode (UAX 9, section 2): with them a name
/// could make the line of a list that it stands in read differently.
fn turns_text_around(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn check_roles(roles: &[String], errors: &mut Vec<FieldError>) {
    let valid = |role: &String| {
        (1..=64).contains(&role.len()) && role.bytes().all(|b| b.is_ascii_graphic() && b != b',')
    };
    if roles.len() > 32 || !roles.iter().all(valid) {
        errors.push(FieldError {
            field: "roles",
            code: "role_invalid",
            detail: "at most 32 names of 1 to 64 visible ASCII characters without commas"
                .to_owned(),
        });
    }
}
