//! The server under test.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use countersign_domain::password::Scheme;
use countersign_domain::root_secret::RootSecret;
use countersign_domain::rotation::RotationPolicy;
use countersign_flows::clock::ManualClock;
use countersign_flows::hashing::PoolSettings;
use countersign_flows::keys::SigningSecret;
use countersign_flows::random::SeededRandom;
use countersign_flows::{Caller, Flows, LimitPolicy, OpenError, Policy, Role, Secrets};
use countersign_http::{
    CorsOrigins, Edge, EdgeSettings, Outlets, Spans, TrustedProxies, operator_router, public_router,
};
use countersign_store_sql::{Database, Pools, SqlStore};
use countersign_token::Algorithm;
use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::answer::{Answer, Tokens};

/// Whoever does what no route does.
pub(crate) static OPERATOR: LazyLock<Caller> = LazyLock::new(|| Caller::operator("tests"));

/// The password of every user here.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// What an operator may choose.
#[derive(Clone)]
pub(crate) struct Choices {
    pub(crate) algorithm: Algorithm,
    pub(crate) bcrypt_cost: u32,
    pub(crate) hash_lanes: NonZeroUsize,
    pub(crate) longest_wait: Duration,
    pub(crate) root_secret: [u8; 32],
    pub(crate) cors: CorsOrigins,
    pub(crate) role: Role,
    pub(crate) access_lifetime: SignedDuration,
    /// None at all, since every test comes from one address; those about limits choose some.
    pub(crate) limits: LimitPolicy,
    pub(crate) issuer: &'static str,
    pub(crate) feed_subscribers: usize,
    /// Who takes spans.
    pub(crate) spans: Option<Arc<dyn Spans>>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::EdDsa,
            bcrypt_cost: 4,
            hash_lanes: NonZeroUsize::new(6).unwrap(),
            longest_wait: Duration::from_secs(60),
            root_secret: [7; 32],
            cors: CorsOrigins::Loopback,
            role: Role::Server,
            access_lifetime: minutes(15),
            limits: LimitPolicy::default(),
            issuer: "https://auth.example.org",
            feed_subscribers: 4,
            spans: None,
        }
    }
}

/// One instance.
pub(crate) struct App {
    pub(crate) flows: Arc<Flows>,
    pub(crate) store: SqlStore,
    pub(crate) router: Router,
    /// What the operator's listener serves.
    pub(crate) operator: Router,
    pub(crate) edge: Edge,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
}

impl App {
    /// An instance over a new database.
    pub(crate) async fn new() -> Self {
        Self::with(Choices::default()).await
    }

    /// An instance over a new database.
    pub(crate) async fn with(choices: Choices) -> Self {
        let store = SqlStore::connect(&Database::SqliteInMemory, Pools::default());
        let store = store.await.unwrap();
        store.migrate().await.unwrap();
        let start: Timestamp = "2027-01-15T08:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let random = Arc::new(SeededRandom::new(1));
        Self::open(store, clock, random, choices).await.unwrap()
    }

    /// Another instance over the same database, with the same clock.
    pub(crate) async fn another(&self, choices: Choices) -> Result<Self, OpenError> {
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Self::open(self.store.clone(), clock, random, choices).await
    }

    async fn open(
        store: SqlStore,
        clock: Arc<ManualClock>,
        random: Arc<SeededRandom>,
        choices: Choices,
    ) -> Result<Self, OpenError> {
        let flows = Flows::open(
            choices.role,
            Arc::new(store.clone()),
            clock.clone(),
            random.clone(),
            policy(&choices),
            Secrets {
                root: RootSecret::new(choices.root_secret.to_vec()),
                hs256: Some(SigningSecret::new(vec![9; 32])),
            },
            PoolSettings {
                scheme: Scheme::Bcrypt {
                    cost: choices.bcrypt_cost,
                },
                workers: NonZeroUsize::MIN,
                lanes: choices.hash_lanes,
                longest_wait: choices.longest_wait,
            },
        );
        let flows = Arc::new(flows.await?);
        let settings = EdgeSettings {
            issuer: flows.policy().issuer.clone(),
            trusted_proxies: TrustedProxies::default(),
            cors: choices.cors,
            feed_subscribers: choices.feed_subscribers,
        };
        let mut registry = Registry::default();
        store.register(&mut registry);
        let outlets = Outlets {
            registry,
            spans: choices.spans,
        };
        let edge = Edge::with_outlets(flows.clone(), settings, outlets);
        Ok(Self {
            router: public_router(edge.clone()),
            operator: operator_router(edge.clone()),
            edge,
            flows,
            store,
            clock,
            random,
        })
    }

    /// Moves the clock of every instance over this database.
    pub(crate) fn step(&self, by: SignedDuration) {
        self.clock.step(by);
    }

    /// Sets the clock of every instance while no time passes.
    pub(crate) fn set_clock_by(&self, by: SignedDuration) {
        self.clock.set_by(by);
    }

    pub(crate) async fn register(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD});
        let answer = self.post("/auth/register").json(&body).send().await;
        assert_eq!(answer.status, 201, "{answer}");
        answer
    }

    /// Signs in a user who exists.
    pub(crate) async fn sign_in(&self, email: &str) -> Tokens {
        self.login(email, PASSWORD).await.tokens()
    }

    /// Registers a user and signs it in.
    pub(crate) async fn welcome(&self, email: &str) -> Tokens {
        self.register(email).await;
        self.sign_in(email).await
    }

    pub(crate) async fn login(&self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password});
        self.post("/auth/login").json(&body).send().await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Answer {
        let body = json!({"refresh_token": refresh_token});
        self.post("/auth/refresh").json(&body).send().await
    }

    pub(crate) async fn me(&self, access_token: &str) -> Answer {
        self.get("/auth/me").bearer(access_token).send().await
    }

    /// Asserts that neither token of a session is worth anything any more.
    pub(crate) async fn assert_over(&self, tokens: &Tokens) {
        let me = self.me(&tokens.access).await;
        assert_eq!(me.problem(), (401, "session_revoked".to_owned()), "{me}");
        let refreshed = self.refresh(&tokens.refresh).await;
        assert_eq!(refreshed.status, 401, "{refreshed}");
    }

    /// Asserts that the session of these tokens goes on.
    pub(crate) async fn assert_live(&self, tokens: &Tokens) {
        let me = self.me(&tokens.access).await;
        assert_eq!(me.status, 200, "{me}");
    }
}

fn policy(choices: &Choices) -> Policy {
    Policy {
        issuer: choices.issuer.to_owned(),
        audience: "https://api.example.org".to_owned(),
        algorithm: choices.algorithm,
        limits: choices.limits,
        access_lifetime: choices.access_lifetime,
        rotation: RotationPolicy {
            grace: SignedDuration::from_secs(30),
            idle: days(30),
        },
        session_lifetime: days(90),
        audit_retention: Some(days(365)),
        audit_refreshes: true,
    }
}

pub(crate) fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

pub(crate) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

pub(crate) fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}
