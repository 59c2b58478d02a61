//! The fault campaign: several instances, users who know what they were promised, and everything that can go wrong.
//!
//! Each user is an honest client on several devices: it signs in, refreshes, asks who it is, signs out, changes the
//! password, is deleted; and where it gets no answer, or a 503, it asks again, of any instance, until it is answered.
//! So it always knows what holds, and any other answer breaks a promise. Now and then a thief uses a token of its that
//! has had its turn. What is promised, and what was measured, is in `docs/faults.md`.

mod active;
mod acts;
mod campaign;
mod check;
mod doors;
mod fault;
mod health;
mod layout;
mod ledger;
mod line;
mod process;
mod proxy;
mod redis_fault;
mod session;
mod sign_outs;
mod table;
mod thief;
mod token;
mod upgrade;
mod user;
mod world;

pub use campaign::Campaign;
pub use proxy::{Proxy, Wire};
pub use sign_outs::sign_outs;
pub use world::Profile;
