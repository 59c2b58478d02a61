//! The rules of Countersign, without I/O: no clock, no randomness, no storage. Time and random
//! bytes are arguments.
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]

pub mod address;
pub mod audit;
pub mod device_token;
pub mod email;
pub mod ids;
pub mod limits;
pub mod password;
pub mod refresh_token;
pub mod root_secret;
pub mod rotation;
pub mod security_events;
pub mod service_key;

pub use ids::{EventId, ServiceKeyId, SessionId, UserId};
