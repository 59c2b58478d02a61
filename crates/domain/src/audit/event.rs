use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Kind;
use super::ink::AddressTag;
use crate::{EventId, SessionId, UserId};

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Somebody who is not signed in.
    Anybody,
    /// The user that the event is about.
    Subject,
    /// An operator at the command line, by the name of the system's account.
    Operator(String),
    /// The server by itself.
    Server,
}

/// The stored form: `anybody`, `user`, `operator:<name>` or `server`.
impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anybody => f.write_str("anybody"),
            Self::Subject => f.write_str("user"),
            Self::Operator(name) => write!(f, "operator:{name}"),
            Self::Server => f.write_str("server"),
        }
    }
}

/// What identifies a person, and is encrypted for that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Personal {
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The client's `User-Agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The request's id: clients may choose it, so it may say anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// What else there is to say about an event. Never personal data, never a secret.
pub type Details = serde_json::Map<String, serde_json::Value>;

/// An event before it is written down: all but what only the transaction of the act finds out.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: Kind,
    /// Why, as a stable code.
    pub reason: Option<&'static str>,
    /// Who acted.
    pub by: By,
    /// Whom it is about.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<SessionId>,
    /// From where.
    pub personal: Personal,
    /// What else there is to say.
    pub details: Details,
}

/// An event as it is stored. Made by [`Ink::write`](super::Ink::write), and never changed afterwards, but for
/// `address` when its user is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub id: EventId,
    /// When it happened, in whole microseconds.
    pub at: Timestamp,
    /// What happened, as [`Kind::as_str`]. Text, since what is stored may be of a later version, or corrupt.
    pub kind: String,
    /// How it came out.
    pub outcome: String,
    /// Why, as a stable code.
    pub reason: Option<String>,
    /// Who acted, as [`By`] is displayed.
    pub by: String,
    /// Whom it is about.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<SessionId>,
    /// What else there is to say, as a JSON object.
    pub details: String,
    /// The encrypted [`Personal`]; empty where there is none.
    pub personal: Vec<u8>,
    /// By what the client's address is found; not under the MAC, since erasing removes it.
    pub address: Option<AddressTag>,
    /// The MAC over everything above but the last.
    pub mac: [u8; 32],
}

impl Row {
    /// The digest that the MAC and the chain are over: SHA-256 of every field with its length
    /// before it, so that no two rows have one encoding.
    pub fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        context.update(b"countersign audit event v1\0");
        let mut field = |bytes: Option<&[u8]>| {
            // No field is 4 GiB long, so the greatest length is free to say "none".
            let length = bytes.map_or(u32::MAX, |b| u32::try_from(b.len()).unwrap_or(u32::MAX - 1));
            context.update(&length.to_be_bytes());
            context.update(bytes.unwrap_or_default());
        };
        field(Some(self.id.0.as_bytes()));
        field(Some(&self.at.as_microsecond().to_be_bytes()));
        field(Some(self.kind.as_bytes()));
        field(Some(self.outcome.as_bytes()));
        field(self.reason.as_deref().map(str::as_bytes));
        field(Some(self.by.as_bytes()));
        field(self.user.as_ref().map(|id| id.0.as_bytes().as_slice()));
        field(self.session.as_ref().map(|id| id.0.as_bytes().as_slice()));
        field(Some(self.details.as_bytes()));
        field(Some(&self.personal));
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}
