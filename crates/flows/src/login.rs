use countersign_domain::SessionId;
use countersign_domain::email::Email;
use countersign_domain::password::PresentedPassword;
use countersign_domain::rotation::later;
use countersign_store::{NewSession, Opened, SignInProof};

use crate::access::Tokens;
use crate::authenticate_password::Proven;
use crate::fault::Fault;
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

impl Flows {
    /// Signs a user in: proves the password, opens a session and signs its tokens.
    pub async fn login(&self, login: &Login, caller: &Caller) -> Result<Tokens, LoginError> {
        for _ in 0..ATTEMPTS {
            let credentials = match Email::parse(&login.email) {
                Ok(email) => self
                    .store
                    .credentials_by_email(email.key())
                    .await
                    .map_err(Fault::from)?,
                Err(_) => None,
            };
            let Some(proven) = self.prove_password(&login.password, credentials).await? else {
                return Err(LoginError::InvalidCredentials);
            };
            if proven.credentials.user.disabled_at.is_some() {
                return Err(LoginError::AccountDisabled);
            }
            if let Some(tokens) = self.open_session(login, proven, caller).await? {
                return Ok(tokens);
            }
        }
        Err(LoginError::InvalidCredentials)
    }

    /// `None`: the credentials changed since they were read.
    async fn open_session(
        &self,
        login: &Login,
        proven: Proven,
        caller: &Caller,
    ) -> Result<Option<Tokens>, Fault> {
        let user = proven.credentials.user;
        let rehash = match proven.rehash {
            true => {
                let presented = PresentedPassword::new(&login.password);
                let salt = random::bytes(&*self.random);
                // A nicety that must not cost a right password its answer.
                self.hashing.rehash(presented, salt).await.unwrap_or(None)
            }
            false => None,
        };
        let now = self.clock.now();
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
        let until = self.tokens_until(now);
        let proof = SignInProof {
            password_hash: proven.password_hash,
            rehash,
        };
        match self
            .store
            .open_session(&session, &proof, now, until)
            .await?
        {
            Opened::Opened(session, announcements) => {
                self.honour(&announcements);
                mint.tokens(&session, &user).map(Some)
            }
            Opened::ProofStale => Ok(None),
        }
    }
}
