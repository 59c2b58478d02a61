//! The kinds of request, each repeated by clients that wait for their answers.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

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

/// What is read of an answer with tokens.
#[derive(Deserialize)]
struct Tokens<'a> {
    access_token: &'a str,
    refresh_token: &'a str,
}

/// A client with a connection and, where its work needs one, a user with a session.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    work: Work,
    email: String,
    access: String,
    refresh: String,
    /// The refresh tokens of its other sessions, the one to use next first.
    others: VecDeque<String>,
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
            others: VecDeque::new(),
        };
        if !matches!(work, Work::Healthz | Work::Register) {
            client.register().await?;
            client.sign_in().await?;
        }
        Ok(client)
    }

    /// Has it refresh so many sessions in turns: no two refreshes of one session then follow so soon that the
    /// database learns of both at once.
    pub(crate) async fn open_sessions(&mut self, count: usize) -> Result<()> {
        // The server ends the oldest sessions of somebody who has too many.
        const EACH: usize = 25;
        while self.others.len() + 1 < count {
            self.others.push_back(self.refresh.clone());
            if self.others.len().is_multiple_of(EACH) {
                self.email = new_email();
                self.register().await?;
            }
            self.sign_in().await?;
        }
        Ok(())
    }

    /// How many sessions it refreshes in turns.
    pub(crate) fn sessions(&self) -> usize {
        self.others.len() + 1
    }

    /// Connects again, to a server that was started again.
    pub(crate) async fn reconnect(&mut self, address: &str) -> Result<()> {
        self.connection = Connection::open(address).await?;
        Ok(())
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

    pub(crate) async fn sign_in(&mut self) -> Result<()> {
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
        if let Some(next) = self.others.pop_front() {
            let used = std::mem::replace(&mut self.refresh, next);
            self.others.push_back(used);
        }
        Ok(())
    }

    /// The same session at another instance.
    pub(crate) async fn at(&self, address: &str) -> Result<Client> {
        Ok(Client {
            connection: Connection::open(address).await?,
            work: self.work,
            email: self.email.clone(),
            access: self.access.clone(),
            refresh: self.refresh.clone(),
            others: VecDeque::new(),
        })
    }

    /// Asks who it is, and returns the status.
    pub(crate) async fn me(&mut self) -> Result<StatusCode> {
        self.connection.status("/auth/me", &self.access).await
    }

    /// Ends the session.
    pub(crate) async fn sign_out(&mut self) -> Result<()> {
        let body = json!({"refresh_token": self.refresh});
        self.connection
            .post("/auth/logout", &body, &[StatusCode::NO_CONTENT])
            .await
            .map(drop)
    }

    fn keep(&mut self, answer: &[u8]) -> Result<()> {
        let tokens: Tokens = serde_json::from_slice(answer).context("tokens")?;
        self.access.clear();
        self.access.push_str(tokens.access_token);
        self.refresh.clear();
        self.refresh.push_str(tokens.refresh_token);
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
