//! The kinds of request, each repeated by clients that wait for their answers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use http::StatusCode;
use serde_json::{Value, json};

use crate::connection::Connection;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// `GET /healthz`: what HTTP costs by itself.
    Healthz,
    /// `POST /auth/register`, a new user each time.
    Register,
    /// `POST /auth/login`, one user for each connection.
    SignIn,
    /// `POST /auth/refresh`, always with the token that the last one gave.
    Refresh,
    /// `GET /auth/me`.
    Me,
    /// `POST /auth/refresh` at fixed times, while strangers offer ten times the sign-ins that can be hashed.
    RefreshInFlood,
    /// `GET /auth/me` at fixed times, while strangers offer ten times the sign-ins that can be hashed.
    MeInFlood,
}

impl Work {
    /// Whether each request hashes a password.
    pub(crate) fn hashes(self) -> bool {
        matches!(self, Work::Register | Work::SignIn)
    }

    /// Whether it is measured while strangers offer ten times the sign-ins that can be hashed.
    pub(crate) fn in_flood(self) -> bool {
        matches!(self, Work::RefreshInFlood | Work::MeInFlood)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Work::Healthz => "healthz",
            Work::Register => "register",
            Work::SignIn => "sign in",
            Work::Refresh => "refresh",
            Work::Me => "me",
            Work::RefreshInFlood => "refresh, 50/s, in a sign-in flood",
            Work::MeInFlood => "me, 50/s, in a sign-in flood",
        }
    }
}

/// A client with a connection and, where its work needs one, a user with a session.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    work: Work,
    email: String,
    access: String,
    refresh: String,
}

impl Client {
    /// Connects, and registers and signs in if need be.
    pub(crate) async fn prepare(address: &str, work: Work) -> Result<Client> {
        let connection = Connection::open(address).await?;
        let mut client = Client {
            connection,
            work,
            email: new_email(),
            access: String::new(),
            refresh: String::new(),
        };
        if !matches!(work, Work::Healthz | Work::Register) {
            client.register().await?;
            client.sign_in().await?;
        }
        Ok(client)
    }

    /// One request and its answer, which must be a good one.
    pub(crate) async fn once(&mut self) -> Result<()> {
        match self.work {
            Work::Healthz => self.connection.get("/healthz", None).await.map(drop),
            Work::Register => {
                self.email = new_email();
                self.register().await
            }
            Work::SignIn => self.sign_in().await,
            Work::Refresh | Work::RefreshInFlood => self.refresh().await,
            Work::Me | Work::MeInFlood => self
                .connection
                .get("/auth/me", Some(&self.access))
                .await
                .map(drop),
        }
    }

    async fn register(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": PASSWORD});
        self.connection
            .post("/auth/register", &body, &[StatusCode::CREATED])
            .await
            .map(drop)
    }

    async fn sign_in(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": PASSWORD});
        let answer = self
            .connection
            .post("/auth/login", &body, &[StatusCode::OK])
            .await?;
        self.keep(&answer)
    }

    async fn refresh(&mut self) -> Result<()> {
        let before = self.refresh.clone();
        let answer = self
            .connection
            .post(
                "/auth/refresh",
                &json!({"refresh_token": before}),
                &[StatusCode::OK],
            )
            .await?;
        self.keep(&answer)?;
        ensure!(self.refresh != before, "the refresh token was not rotated");
        Ok(())
    }

    fn keep(&mut self, answer: &[u8]) -> Result<()> {
        let answer: Value = serde_json::from_slice(answer)?;
        let text = |name: &'static str| answer[name].as_str().map(str::to_owned).context(name);
        (self.access, self.refresh) = (text("access_token")?, text("refresh_token")?);
        Ok(())
    }
}

/// One of many strangers who try passwords, each from an address of its own.
#[derive(Debug)]
pub(crate) struct Stranger {
    connection: Connection,
    email: String,
}

impl Stranger {
    pub(crate) async fn prepare(address: &str, number: u32) -> Result<Stranger> {
        let own = Ipv4Addr::from_bits(0x7f10_0001 + 256 * number);
        Ok(Stranger {
            connection: Connection::open_from(address, own).await?,
            email: new_email(),
        })
    }

    /// One wrong sign-in: looked at, or refused because too much is asked of the server.
    pub(crate) async fn once(&mut self) -> Result<()> {
        let body = json!({"email": self.email, "password": "wrong"});
        let expected = [StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE];
        let answer = self.connection.post("/auth/login", &body, &expected);
        answer.await.map(drop)
    }
}

/// An address that nobody has.
pub(crate) fn new_email() -> String {
    format!(
        "{:016x}@example.com",
        RandomState::new().build_hasher().finish()
    )
}
