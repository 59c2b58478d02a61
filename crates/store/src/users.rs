use async_trait::async_trait;
use countersign_domain::audit::Salt;
use countersign_domain::email::EmailKey;
use countersign_domain::password::PasswordHash;
use countersign_domain::{SessionId, UserId};
use jiff::Timestamp;

use crate::{Act, Announcement, StoreError};

/// A user, without anything secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user's id, for life.
    pub id: UserId,
    /// The e-mail address as the user typed it.
    pub email: String,
    /// When the address was shown to be the user's.
    pub email_verified_at: Option<Timestamp>,
    /// The display name.
    pub name: Option<String>,
    /// Role names, as they go into access tokens.
    pub roles: Vec<String>,
    /// Since when the account has been disabled.
    pub disabled_at: Option<Timestamp>,
    /// When the user registered.
    pub created_at: Timestamp,
    /// When anything above last changed.
    pub updated_at: Timestamp,
    /// When the user last signed in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A user with the password hash, for the sign-in path alone.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user.
    pub user: User,
    /// The stored hash, as text since it may be corrupt. `None`: the user has no password.
    pub password_hash: Option<String>,
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The id to give.
    pub id: UserId,
    /// The address as typed.
    pub email: String,
    /// The normalised address: unique among all users.
    pub email_key: EmailKey,
    /// `None` makes a user who cannot sign in by password.
    pub password_hash: Option<PasswordHash>,
    /// The display name.
    pub name: Option<String>,
    /// Role names.
    pub roles: Vec<String>,
    /// When the address was shown to be the user's, if it already has been.
    pub email_verified_at: Option<Timestamp>,
    /// What the personal part of the user's events is encrypted with. Destroyed with the user.
    pub audit_salt: Salt,
}

/// The outcome of creating a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The user exists now.
    Created(User),
    /// Another user has that address.
    EmailTaken,
}

/// On whose behalf a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A user, through this session. The change happens only if the session is live (not ended,
    /// not expired) and the user's own, checked in the same transaction: a token of a dead session can change
    /// nothing, even where the news of its death has not arrived yet.
    Session(SessionId),
    /// An operator, or a flow that has proved by other means that the change may be made.
    Trusted,
}

/// What to change about a user; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// `Some(None)` removes the display name.
    pub name: Option<Option<String>>,
    /// The new roles.
    pub roles: Option<Vec<String>>,
    /// A new address, as typed, with its key. Clears `email_verified_at`.
    pub email: Option<(String, EmailKey)>,
    /// `Some(true)` disables the account and ends all its sessions, `Some(false)` enables it.
    pub disabled: Option<bool>,
}

/// The outcome of changing a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// The user as it is now.
    Changed(User, Vec<Announcement>),
    /// Another user has the new address; nothing was changed.
    EmailTaken,
    /// No such user.
    NotFound,
    /// The acting session is over; nothing was changed.
    ActorEnded,
}

/// A password to be set.
#[derive(Clone, Debug)]
pub struct SetPassword {
    /// The hash that was checked, or `None` not to care (operators, reset). Where it is no longer
    /// the stored one, somebody else has changed the password meanwhile, and nothing happens.
    pub expected: Option<String>,
    /// The new hash.
    pub hash: PasswordHash,
}

/// The outcome of setting a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordSet {
    /// Set; every session but the acting one has ended.
    Set(Vec<Announcement>),
    /// The stored hash is not the expected one any more.
    Conflict,
    /// No such user.
    NotFound,
    /// The acting session is over.
    ActorEnded,
}

/// The outcome of deleting a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// Gone, with all sessions.
    Deleted(Vec<Announcement>),
    /// The stored hash is not the expected one any more.
    Conflict,
    /// No such user.
    NotFound,
    /// The acting session is over.
    ActorEnded,
}

/// Users. Every method that changes one is a single transaction, durable when it returns.
#[async_trait]
pub trait Users {
    /// Creates a user, unless the address is taken. Of any number of concurrent calls with one
    /// address, one creates.
    async fn create_user(&self, new: &NewUser, act: &Act) -> Result<Created, StoreError>;

    /// The user with this id.
    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user with this address.
    async fn user_by_email(&self, key: &EmailKey) -> Result<Option<User>, StoreError>;

    /// The user with this address, and the password hash.
    async fn credentials_by_email(&self, key: &EmailKey)
    -> Result<Option<Credentials>, StoreError>;

    /// The user with this id, and the password hash.
    async fn credentials(&self, id: UserId) -> Result<Option<Credentials>, StoreError>;

    /// Users in order of id, that is of age, after `after`; at most `limit`.
    async fn list_users(&self, after: Option<UserId>, limit: u32) -> Result<Vec<User>, StoreError>;

    /// Changes a user. Disabling ends every session of the user with the reason `UserDisabled`. A
    /// change of roles leaves the sessions and has every access token from before it refused, so that clients refresh.
    async fn change_user(
        &self,
        id: UserId,
        change: &UserChange,
        act: &Act,
    ) -> Result<Patched, StoreError>;

    /// Announces that tokens of the user from before the act are out of date. Who changed roles calls this after the change, with a
    /// later time: a token that was made from the roles before while the change waited for its turn is then refused too.
    /// Leaves no event.
    async fn outdate_tokens(&self, id: UserId, act: &Act) -> Result<Vec<Announcement>, StoreError>;

    /// Sets the password and ends every session of the user except the acting one, with the
    /// reason `PasswordChanged`. A sign-in that checked the old password and commits later opens no session.
    async fn set_password(
        &self,
        id: UserId,
        set: &SetPassword,
        act: &Act,
    ) -> Result<PasswordSet, StoreError>;

    /// Deletes the user and everything that belongs to it. What remains are announcements, which
    /// name ids only and expire, and events, whose personal part nobody can read any more. `expected` is as in [`SetPassword`].
    async fn delete_user(
        &self,
        id: UserId,
        expected: Option<&str>,
        act: &Act,
    ) -> Result<Deleted, StoreError>;
}
