use countersign_domain::audit::{By, Kind};
use countersign_domain::device_token::{DeviceToken, KnownDevice};
use countersign_domain::email::Email;
use countersign_domain::limits::Return;
use countersign_domain::password::PresentedPassword;
use countersign_domain::rotation::later;
use countersign_domain::{SessionId, UserId};
use countersign_store::{Actor, Grant, NewSession, Opened, SignInProof};

use crate::access::Tokens;
use crate::authenticate_password::Proven;
use crate::fault::Fault;
use crate::limits::{Counted, Effect};
use crate::{Caller, Flows, random};

/// How often a sign-in is tried anew when the stored hash changes under it. It does so when two
/// sign-ins of one user replace an old hash at the same moment.
const ATTEMPTS: usize = 3;

/// A sign-in, as somebody typed it. Nothing about it is checked beforehand: an address that
/// cannot exist and a password that is too long cost the same work and get the same answer as wrong ones.
pub struct Login {
    /// The e-mail address.
    pub email: String,
    /// The password.
    pub password: String,
}

/// Why a sign-in was refused.
#[derive(Debug)]
pub enum LoginError {
    /// No such user, no password, or not this one.
    InvalidCredentials,
    /// The password is right and the account is disabled.
    AccountDisabled,
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Fault> for LoginError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What somebody gets who has signed in.
pub struct SignedIn {
    /// The session's first tokens.
    pub tokens: Tokens,
    /// By which the device is known from now on.
    pub device: DeviceToken,
}

impl Flows {
    /// Signs a user in: proves the password, opens a session and signs its tokens. Only wrong passwords
    /// count; so a limit says how often somebody may be wrong.
    pub async fn login(&self, login: &Login, caller: &Caller) -> Counted<SignedIn, LoginError> {
        // Before anything is counted or looked up: a flood shall cost the store nothing.
        if let Err(overloaded) = self.hashing.admit(caller.block()) {
            return Counted {
                outcome: Err(Fault::from(overloaded).into()),
                standing: None,
            };
        }
        let device = self.known_device(login, caller).await;
        let limits = self.limit_sign_in(&login.email, device, caller);
        self.counted(
            limits,
            caller,
            self.try_login(login, device, caller),
            |outcome| match outcome {
                Ok(_) | Err(LoginError::AccountDisabled) => Effect::GiveBack(Return::Right),
                Err(LoginError::InvalidCredentials | LoginError::Fault(Fault::Unrecorded(_))) => {
                    Effect::Counts
                }
                Err(LoginError::Fault(_)) => Effect::GiveBack(Return::Unused),
            },
        )
        .await
    }

    /// The device, if it is known for the account that is signed in to. Asks the store for the
    /// token's own user only, so that nothing about the account that was typed shows in the time that this takes.
    async fn known_device(&self, login: &Login, caller: &Caller) -> Option<KnownDevice> {
        let presented = caller.device.as_deref()?;
        let device = self.device_key.open(presented, self.clock.now())?;
        let credentials = self.store.credentials(device.user).await.ok()??;
        let own = Email::parse(&credentials.user.email).ok()?;
        let typed = Email::parse(&login.email).ok()?;
        let current = self
            .device_key
            .is_current(&device, &credentials.password_hash?);
        (current && own.key() == typed.key()).then_some(device)
    }

    async fn try_login(
        &self,
        login: &Login,
        device: Option<KnownDevice>,
        caller: &Caller,
    ) -> Result<SignedIn, LoginError> {
        let mut about = None;
        for _ in 0..ATTEMPTS {
            let credentials = match Email::parse(&login.email) {
                Ok(email) => self
                    .store
                    .credentials_by_email(email.key())
                    .await
                    .map_err(Fault::from)?,
                Err(_) => None,
            };
            about = credentials.as_ref().map(|credentials| credentials.user.id);
            let Some(proven) = self
                .prove_password(&login.password, caller.block(), credentials)
                .await?
            else {
                self.record_failed(about, "invalid_credentials", caller)
                    .await?;
                return Err(LoginError::InvalidCredentials);
            };
            if proven.credentials.user.disabled_at.is_some() {
                self.record_failed(about, "account_disabled", caller)
                    .await?;
                return Err(LoginError::AccountDisabled);
            }
            if let Some(signed_in) = self.open_session(login, proven, device, caller).await? {
                return Ok(signed_in);
            }
        }
        self.record_failed(about, "credentials_changed", caller)
            .await?;
        Err(LoginError::InvalidCredentials)
    }

    /// What was typed as the address is not recorded: people type passwords there by mistake.
    async fn record_failed(
        &self,
        user: Option<UserId>,
        reason: &'static str,
        caller: &Caller,
    ) -> Result<(), Fault> {
        let mut draft = self.draft(Kind::LoginFailed, By::Anybody, caller, self.clock.now());
        (draft.user, draft.reason) = (user, Some(reason));
        self.record_refusal(draft).await
    }

    /// `None`: the credentials changed since they were read.
    async fn open_session(
        &self,
        login: &Login,
        proven: Proven,
        device: Option<KnownDevice>,
        caller: &Caller,
    ) -> Result<Option<SignedIn>, Fault> {
        let user = proven.credentials.user;
        let rehash = match proven.rehash {
            true => {
                let presented = PresentedPassword::new(&login.password);
                let salt = random::bytes(&*self.random);
                // A nicety that must not cost a right password its answer.
                let rehash = self.hashing.rehash(caller.block(), presented, salt);
                rehash.await.unwrap_or(None)
            }
            false => None,
        };
        let mut act = self.act(Kind::LoginSucceeded, By::Subject, Actor::Trusted, caller);
        if device.is_some() {
            act.draft
                .details
                .insert("known_device".to_owned(), true.into());
        }
        let now = act.now;
        let mint = self.mint(now)?;
        let expires_at = later(now, self.policy.session_lifetime);
        let session = NewSession {
            id: SessionId::new(random::bytes(&*self.random)),
            user_id: user.id,
            idle_expires_at: later(now, self.policy.rotation.idle).min(expires_at),
            expires_at,
            ip: caller.ip,
            user_agent: caller.user_agent.clone(),
            amr: vec!["pwd".to_owned()],
        };
        let proof = SignInProof {
            password_hash: proven.password_hash,
            rehash,
        };
        match self.store.open_session(&session, &proof, &act).await? {
            // As it is stored now: what was read before the hash may have changed meanwhile.
            Opened::Opened(session, user, announcements) => {
                self.honour(&announcements);
                let known = device.map(|device| device.id);
                let device = known.unwrap_or_else(|| self.device_key.new_id(session.id));
                let hash = match &proof.rehash {
                    Some(rehash) => rehash.as_str(),
                    None => proof.password_hash.as_str(),
                };
                Ok(Some(SignedIn {
                    tokens: mint.tokens(&Grant::new(&session, &user), act.event())?,
                    device: self.device_key.issue(user.id, device, hash, now),
                }))
            }
            Opened::ProofStale => Ok(None),
        }
    }
}
