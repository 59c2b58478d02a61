//! What Countersign does, one file per use case.
//!
//! This room owns time, randomness and the hashing threads; it speaks to storage through the
//! traits of `countersign-store` only. A use case takes typed input and who called, and answers
//! with an outcome enum that lists everything that can happen; turning that into HTTP or into a table for an
//! operator is for others.

mod access;
mod audit;
mod authenticate_password;
mod caller;
pub mod clock;
mod delete_account;
mod fault;
mod feed;
mod figures;
pub mod hashing;
mod honour;
mod housekeeping;
pub mod keys;
mod limits;
mod login;
mod logout;
mod manage_keys;
mod open;
mod password_change;
mod profile;
pub mod random;
mod refresh;
mod register;
mod service_keys;
mod sessions;
mod user_cache;
mod users;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_domain::EventId;
use countersign_domain::audit::Ink;
use countersign_domain::device_token::DeviceKey;
use countersign_domain::refresh_token::RefreshKey;
use countersign_domain::rotation::RotationPolicy;
use countersign_store::Store;
use countersign_token::{Algorithm, RevocationSet, TokenCache, Verifier};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;

pub use access::{Authenticated, LEEWAY, TokenRefusal, Tokens};
pub use audit::{Event, EventFilter, Explained, Explanation, Trace, Verified, VerifyError};
pub use caller::Caller;
pub use countersign_token::Revocation;
pub use delete_account::DeleteAccountError;
pub use fault::{Fault, FieldError, Overloaded};
pub use feed::{Fact, Learned, NEWS_LASTS, News, Progress};
pub use figures::Figures;
pub use honour::Readiness;
pub use limits::{Counted, Counting, LimitFigures, LimitPolicy, Limited, Standing};
pub use login::{Login, LoginError, SignedIn};
pub use logout::{LogoutError, LogoutScope};
pub use manage_keys::Rotation;
pub use open::{OpenError, Role, Secrets};
pub use password_change::{PasswordChange, PasswordChangeError};
pub use profile::{ProfileError, ProfilePatch};
pub use refresh::RefreshError;
pub use register::{Registration, RegistrationError};
pub use service_keys::{CreateServiceKeyError, Service, ServiceRefusal};
pub use sessions::{Page, SessionError};
pub use users::{CreateUser, CreateUserError, UpdateUserError, UserService};

use clock::Clock;
use hashing::HashPool;
use keys::KeyRing;
use random::Random;
use user_cache::UserCache;

/// The rules that an operator sets.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The `iss` claim: the URL that clients know this server by.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// What signs access tokens.
    pub algorithm: Algorithm,
    /// How long an access token lives: 1 to 60 minutes.
    pub access_lifetime: SignedDuration,
    /// How refresh tokens rotate, and when an idle session ends.
    pub rotation: RotationPolicy,
    /// How long a session may last in all.
    pub session_lifetime: SignedDuration,
    /// How often things may be tried.
    pub limits: LimitPolicy,
    /// For how long events of the audit log are kept; `None`: for ever.
    pub audit_retention: Option<SignedDuration>,
    /// Whether every refresh leaves an event.
    pub audit_refreshes: bool,
}

/// All use cases, over one store. Made by [`Flows::open`]; shared behind an `Arc`.
pub struct Flows {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    hashing: HashPool,
    policy: Policy,
    refresh_key: RefreshKey,
    device_key: DeviceKey,
    limiter: limits::Limiter,
    seal: keys::Seal,
    ink: Arc<Ink>,
    recorder: audit::Recorder,
    /// Until when this instance gives events their places in the chain.
    audit_lease: tokio::sync::Mutex<Option<Timestamp>>,
    /// How long the oldest event has waited for its place, in milliseconds, when that was last looked at.
    audit_lag: AtomicU64,
    /// The furthest end of the chain that this process has seen.
    audit_sealed: AtomicU64,
    /// Sessions whose expiry was recorded a short while ago.
    expiries: Cache<EventId, ()>,
    hs256: Option<keys::SigningSecret>,
    keys: ArcSwap<KeyRing>,
    verifier: Verifier,
    token_cache: TokenCache,
    revocations: RevocationSet,
    feed: feed::Feed,
    service_keys: ArcSwap<service_keys::LiveKeys>,
    installation: u32,
    user_cache: UserCache,
    /// Tells this instance from others.
    instance: OnceLock<uuid::Uuid>,
    followed: tokio::sync::Mutex<honour::Followed>,
    /// When an unknown key id last had the keys read again.
    looked_for_keys: tokio::sync::Mutex<Option<Duration>>,
    /// When following last succeeded, in milliseconds since the start of the process.
    followed_at: AtomicU64,
    readiness: tokio::sync::Mutex<Option<(Duration, Readiness)>>,
    /// What the clock showed when the process began.
    started_at: Timestamp,
}

impl Flows {
    /// The rules in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The hashing pool, for figures about it.
    pub fn hashing(&self) -> &HashPool {
        &self.hashing
    }

    /// A new id for a request; sorts by time.
    pub fn new_request_id(&self) -> String {
        let random = random::bytes(&*self.random);
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        let id = uuid::Builder::from_unix_timestamp_millis(millis, &random);
        id.into_uuid().to_string()
    }

    /// Tells this instance from others.
    pub(crate) fn holder(&self) -> uuid::Uuid {
        let new = || uuid::Builder::from_random_bytes(random::bytes(&*self.random)).into_uuid();
        *self.instance.get_or_init(new)
    }

    /// The public keys as a JWK set (RFC 7517), as JSON text. Empty under HS256.
    pub fn jwks(&self) -> String {
        self.keys.load().jwks().to_owned()
    }
}
