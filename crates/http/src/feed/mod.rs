//! `GET /auth/revocations`: whoever follows this instance is told what is revoked, as server-sent events. The protocol is in
//! `docs/feed.md`.
//!
//! Everything is written down once and shared by all who follow: what is new ([`hub`]), what was new lately, for those who come back
//! ([`ring`]), and the whole set, for those who begin ([`snapshot`]).

mod frames;
mod hub;
mod resume;
mod ring;
mod snapshot;
mod subscriber;

pub(crate) use hub::Hub;
pub(crate) use resume::ResumePoint;
pub(crate) use subscriber::stream;
