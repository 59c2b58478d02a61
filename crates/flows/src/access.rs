//! Access tokens: minted at sign-in and refresh, verified on every call, refused once revoked.

use std::sync::Arc;

use countersign_domain::rotation::later;
use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::Grant;
use countersign_token::{Audience, Claims, KeySet, Refusal, Revoked, What};
use jiff::{SignedDuration, Timestamp};

use crate::Flows;
use crate::audit::Trace;
use crate::fault::Fault;
use crate::keys::KeyRing;

/// Clocks of verifiers may differ from ours by this much.
pub const LEEWAY: SignedDuration = SignedDuration::from_secs(5);

/// Clocks of instances may differ from each other by this much: announcements are kept so much
/// longer than access tokens live.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The longest that an access token may be set to live.
const LONGEST_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// What a client is given at sign-in and at every refresh.
#[derive(Debug)]
pub struct Tokens {
    /// The signed access token.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// The refresh token, valid once.
    pub refresh_token: countersign_domain::refresh_token::RefreshToken,
    /// Seconds until it expires unless used.
    pub refresh_expires_in: i64,
    /// The granted scope: none are defined yet.
    pub scope: String,
    /// The same refresh token was given out before: a retry within the grace period.
    pub repeated: bool,
}

/// Somebody whose access token was verified and whose session has not ended.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The verified claims.
    pub claims: Arc<Claims>,
}

impl Authenticated {
    /// The user.
    pub fn user(&self) -> UserId {
        UserId(self.claims.sub)
    }

    /// The session.
    pub fn session(&self) -> SessionId {
        SessionId(self.claims.sid)
    }
}

/// Why an access token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// It is not a valid token of ours.
    Invalid(Refusal),
    /// It was valid and has expired. Its event is the one that it came of.
    Expired(Trace),
    /// Its session has ended, or its user is gone.
    Revoked(Trace),
    /// What it says of its user is out of date: its session goes on, and a new one is to be had by refreshing.
    Outdated(Trace),
}

impl Flows {
    /// Verifies an access token and asks the revocation set, without a store. Only where a token
    /// names an unknown key are the keys read again, in case another instance has just made one.
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, TokenRefusal> {
        let verdict = self.verify(token);
        match verdict {
            Err(TokenRefusal::Invalid(Refusal::UnknownKey)) if self.look_for_keys().await => {
                self.verify(token)
            }
            verdict => verdict,
        }
    }

    fn verify(&self, token: &str) -> Result<Authenticated, TokenRefusal> {
        let now = self.clock.now();
        let ring = self.keys.load();
        let claims = self
            .token_cache
            .verify(&self.verifier, ring.verification(), token, now.as_second())
            .map_err(|refusal| match refusal {
                Refusal::Expired | Refusal::TooOld => self.expired(ring.verification(), token),
                other => TokenRefusal::Invalid(other),
            })?;
        match self.revocations.find(&claims) {
            None => Ok(Authenticated { claims }),
            Some(Revoked { what, event }) => {
                let trace = Trace {
                    session: SessionId(claims.sid),
                    event: event.map(EventId),
                };
                Err(match what {
                    What::User => TokenRefusal::Outdated(trace),
                    What::Session | What::Everybody => TokenRefusal::Revoked(trace),
                })
            }
        }
    }

    fn expired(&self, keys: &KeySet, token: &str) -> TokenRefusal {
        match self.verifier.verify_regardless_of_time(keys, token) {
            Ok(claims) => TokenRefusal::Expired(Trace {
                session: SessionId(claims.sid),
                event: Some(EventId(claims.jti)),
            }),
            Err(refusal) => TokenRefusal::Invalid(refusal),
        }
    }

    /// What signs now. Asked for before anything is stored: what cannot be answered must not be
    /// consumed.
    pub(crate) fn mint(&self, now: Timestamp) -> Result<Mint<'_>, Fault> {
        let ring = self.keys.load_full();
        match ring.signer(now) {
            Some(_) => Ok(Mint {
                flows: self,
                ring,
                now,
            }),
            None => Err(Fault::Signing("no signing key is there".to_owned())),
        }
    }

    /// When every access token that exists at `now` will have expired everywhere, whatever lifetime
    /// the instance that signed it was set to: an operator's command need not have the same settings.
    pub(crate) fn tokens_until(&self, now: Timestamp) -> Timestamp {
        later(now, LONGEST_LIFETIME + CLOCK_SKEW)
    }
}

/// Signs tokens with the keys of one moment.
pub(crate) struct Mint<'a> {
    flows: &'a Flows,
    ring: Arc<KeyRing>,
    now: Timestamp,
}

impl Mint<'_> {
    /// Signs the tokens of a session as it is. `event` is what they come of, and the `jti` of the access token: so a
    /// token that is refused later leads to its story.
    pub(crate) fn tokens(&self, grant: &Grant, event: EventId) -> Result<Tokens, Fault> {
        let (flows, now) = (self.flows, self.now);
        let signing = |error: &dyn std::fmt::Display| Fault::Signing(error.to_string());
        let signer = self
            .ring
            .signer(now)
            .ok_or_else(|| signing(&"no signing key is there"))?;
        // An access token never outlives its session.
        let expires = later(now, flows.policy.access_lifetime).min(grant.state.expires_at);
        let claims = Claims {
            iss: flows.policy.issuer.clone(),
            sub: grant.user.0,
            aud: Audience::One(flows.policy.audience.clone()),
            iat: now.as_second(),
            exp: expires.as_second(),
            nbf: None,
            jti: event.0,
            sid: grant.session.0,
            auth_time: grant.auth_time.as_second(),
            amr: grant.amr.clone(),
            scope: String::new(),
            roles: grant.roles.clone(),
        };
        let access_token = signer.sign(&claims).map_err(|error| signing(&error))?;
        Ok(Tokens {
            access_token,
            expires_in: claims.exp - claims.iat,
            refresh_token: flows
                .refresh_key
                .issue(grant.session, grant.state.generation),
            refresh_expires_in: seconds_until(grant.state.refresh_expires_at(), now),
            scope: claims.scope,
            repeated: false,
        })
    }
}

fn seconds_until(then: Timestamp, now: Timestamp) -> i64 {
    then.duration_since(now).as_secs().max(0)
}
