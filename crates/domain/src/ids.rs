//! Identifiers. Random bytes and the time are arguments, so that tests can choose them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id! {
    /// A user, for life: the `sub` claim. A UUIDv7 (RFC 9562, section 5.7), so that rows sort by age.
    UserId
}

id! {
    /// A session, from sign-in to sign-out: the `sid` claim. A random UUIDv4, since it tells
    /// nothing and cannot be guessed.
    SessionId
}

id! {
    /// An event of the audit log, and the access token that came of it: the `jti` claim. A UUIDv7,
    /// so that events sort by time.
    EventId
}

id! {
    /// A service key. A UUIDv7, so that keys sort by age.
    ServiceKeyId
}

impl ServiceKeyId {
    /// An id for a key that is made at `now`.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        Self(EventId::new(now, random).0)
    }
}

impl EventId {
    /// An id for something that happens at `now`.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl UserId {
    /// An id for a user who registers at `now`.
    pub fn new(now: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }
}

impl SessionId {
    /// An id made of `random` bytes (122 of the bits count).
    pub fn new(random: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(random).into_uuid())
    }
}
