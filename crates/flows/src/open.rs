use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use countersign_domain::audit::{Ink, Kind};
use countersign_domain::device_token::DeviceKey;
use countersign_domain::refresh_token::RefreshKey;
use countersign_domain::root_secret::{Purpose, RootSecret};
use countersign_store::{Act, InstallKey, KeyRecord, NewKey, Store};
use countersign_token::{Algorithm, Expectations, RevocationSet, SigningKey, TokenCache, Verifier};
use jiff::{SignedDuration, Timestamp};
use quick_cache::sync::Cache;

use crate::audit::Recorder;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::feed::Feed;
use crate::hashing::{HashPool, PoolSettings};
use crate::keys::{KeyRing, Seal, SigningSecret, generate};
use crate::limits::Limiter;
use crate::random::Random;
use crate::user_cache::UserCache;
use crate::{Caller, Flows, LEEWAY, Policy};

/// How many verified tokens are kept: about 1 KiB each.
const TOKEN_CACHE: usize = 8 * 1024;

/// How many users are kept in memory: about 0.5 KiB each.
const USER_CACHE: usize = 8 * 1024;

/// How many sessions are remembered whose expiry was recorded.
const EXPIRIES: usize = 4 * 1024;

/// The secrets of an installation.
#[derive(Debug)]
pub struct Secrets {
    /// Everything at rest and every refresh token depends on it.
    pub root: RootSecret,
    /// The shared secret of HS256; needed with that algorithm alone.
    pub hs256: Option<SigningSecret>,
}

/// For what the use cases are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To serve: signing keys are made as the settings want them.
    Server,
    /// For an operator's command, whose settings may be others than the server's: nothing is
    /// changed by opening.
    Operator,
}

/// Why the use cases cannot be opened over a store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database belongs to another root secret: no refresh token and no signing key in it
    /// would work.
    #[error(
        "this database belongs to another root secret: set `COUNTERSIGN_SECRET` to the one that it was made with"
    )]
    OtherRootSecret,
    /// HS256 without its secret.
    #[error("HS256 needs `JWT_SECRET`")]
    NoSharedSecret,
    /// Something failed on the way.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Flows {
    /// Opens the use cases over a store whose schema is current: checks that the database belongs
    /// to this root secret, makes the first signing key if there is none, and loads what has been revoked, so that
    /// a revoked token is refused from the first request on.
    pub async fn open(
        role: Role,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        policy: Policy,
        secrets: Secrets,
        hashing: PoolSettings,
    ) -> Result<Self, OpenError> {
        let now = clock.now();
        let started_at = earlier(now, clock.elapsed());
        let fingerprint = secrets.root.derive(Purpose::Fingerprint);
        let stored = store
            .bind_root_secret(fingerprint.as_ref(), now)
            .await
            .map_err(Fault::from)?;
        if stored != fingerprint.as_ref() {
            return Err(OpenError::OtherRootSecret);
        }
        let hs256 = match (policy.algorithm, secrets.hs256) {
            (Algorithm::Hs256, None) => return Err(OpenError::NoSharedSecret),
            (Algorithm::Hs256, secret) => secret,
            _ => None,
        };
        let seal = Seal::derive(&secrets.root).map_err(|e| Fault::Signing(e.to_string()))?;
        let no_keys = KeyRing::open(policy.algorithm, &[], &seal, None, now)?;
        let verifier = Verifier::new(Expectations {
            issuer: policy.issuer.clone(),
            audience: policy.audience.clone(),
            leeway_seconds: seconds(LEEWAY),
            max_lifetime_seconds: Some(seconds(policy.access_lifetime)),
        });
        let ink = Arc::new(Ink::derive(&secrets.root));
        let flows = Self {
            recorder: Recorder::start(Arc::clone(&store), Arc::clone(&ink)),
            ink,
            audit_lease: tokio::sync::Mutex::default(),
            audit_lag: AtomicU64::new(0),
            audit_sealed: AtomicU64::new(0),
            expiries: Cache::new(EXPIRIES),
            store,
            clock,
            random,
            hashing: HashPool::new(hashing),
            refresh_key: RefreshKey::derive(&secrets.root),
            device_key: DeviceKey::derive(&secrets.root),
            limiter: Limiter::new(policy.limits, &secrets.root),
            seal,
            hs256,
            keys: ArcSwap::from_pointee(no_keys),
            verifier,
            token_cache: TokenCache::new(TOKEN_CACHE),
            revocations: RevocationSet::new(),
            feed: Feed::for_servers(role == Role::Server),
            service_keys: ArcSwap::default(),
            installation: short(fingerprint.as_ref()),
            user_cache: UserCache::new(USER_CACHE),
            instance: OnceLock::new(),
            followed: tokio::sync::Mutex::default(),
            looked_for_keys: tokio::sync::Mutex::default(),
            followed_at: AtomicU64::new(0),
            readiness: tokio::sync::Mutex::default(),
            started_at,
            policy,
        };
        if role == Role::Server {
            flows.ensure_signing_key(now).await?;
        }
        flows.reload_keys(now).await?;
        flows.reload_service_keys().await?;
        flows.follow().await?;
        Ok(flows)
    }

    /// Makes a key of the configured algorithm if none is in use; under HS256, where the key is a
    /// setting, lets those in use expire. Of several instances that start at once, the store lets one succeed.
    async fn ensure_signing_key(&self, now: Timestamp) -> Result<(), Fault> {
        let records = self.store.signing_keys(now).await?;
        let mut in_use = records.iter().filter(|key| key.expires_at.is_none());
        let (activates_at, others_expire_at) = self.key_schedule(now);
        if self.policy.algorithm == Algorithm::Hs256 {
            if in_use.next().is_some() {
                let others_expire_at = self.tokens_until(now);
                let how = InstallKey::Rotate {
                    activates_at: now,
                    others_expire_at,
                };
                let act = self.act_for(Kind::KeyRotated, &Caller::server());
                self.store.install_key(None, how, &act).await?;
            }
            return Ok(());
        }
        let wanted = self.policy.algorithm;
        if in_use.any(|key| key.algorithm == wanted.as_str()) {
            return Ok(());
        }
        let how = InstallKey::IfMissing {
            activates_at,
            others_expire_at,
        };
        let key = self.new_key(wanted)?;
        let mut act = self.act_for(Kind::KeyMade, &Caller::server());
        note_key(&mut act, &key);
        if self
            .store
            .install_key(Some(&key), how, &act)
            .await?
            .is_some()
        {
            tracing::info!(
                kid = key.kid,
                algorithm = key.algorithm,
                "made a signing key"
            );
        }
        Ok(())
    }

    /// A new key, sealed.
    pub(crate) fn new_key(&self, algorithm: Algorithm) -> Result<NewKey, Fault> {
        let broken = |error: &dyn std::fmt::Display| Fault::Signing(error.to_string());
        let private = generate(algorithm)?;
        let key = SigningKey::from_pkcs8(algorithm, &private).map_err(|e| broken(&e))?;
        let public = key.verification_key().to_jwk();
        Ok(NewKey {
            kid: key.kid().to_owned(),
            algorithm: algorithm.as_str().to_owned(),
            public_jwk: public.map(|jwk| jwk.to_string()).unwrap_or_default(),
            sealed_private: self
                .seal
                .seal(key.kid(), &private)
                .map_err(|e| broken(&e))?,
        })
    }

    pub(crate) fn open_ring(
        &self,
        records: &[KeyRecord],
        now: Timestamp,
    ) -> Result<KeyRing, Fault> {
        KeyRing::open(
            self.policy.algorithm,
            records,
            &self.seal,
            self.hs256.as_ref(),
            now,
        )
    }
}

/// Which key an event is about.
pub(crate) fn note_key(act: &mut Act, key: &NewKey) {
    let details = &mut act.draft.details;
    details.insert("kid".to_owned(), key.kid.clone().into());
    details.insert("algorithm".to_owned(), key.algorithm.clone().into());
}

/// The beginning of a fingerprint.
fn short(fingerprint: &[u8]) -> u32 {
    let first = fingerprint.first_chunk();
    u32::from_be_bytes(first.copied().unwrap_or_default())
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn seconds(duration: SignedDuration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}
