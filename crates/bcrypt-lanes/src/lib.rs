//! bcrypt in lanes: several independent computations side by side on one core.
//!
//! The same function as ever, bit for bit; only the order of the instructions differs. Four lanes on one core make
//! more than four times the hashes that one lane makes, each as fast as it would be alone. Why that is so, and why it
//! helps nobody who attacks hashes, is in `docs/bcrypt-lanes.md`.
//!
//! ```
//! use countersign_bcrypt_lanes::{Job, Lanes};
//!
//! let mut lanes = Lanes::new(4);
//! for (number, password) in [b"one\0", b"two\0"].into_iter().enumerate() {
//!     lanes.start(&Job::new(4, [number as u8; 16], password)?, number).expect("a free lane");
//! }
//! while !lanes.is_empty() {
//!     lanes.step();
//!     while let Some((number, digest)) = lanes.take_finished() {
//!         println!("{number}: {digest:02x?}");
//!     }
//! }
//! # Ok::<_, countersign_bcrypt_lanes::JobIssue>(())
//! ```

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)
)]
#![warn(missing_docs)]

#[cfg(target_arch = "x86_64")]
mod bextr;
mod job;
mod kernel;
mod lanes;
mod pi;
mod portable;
mod state;

pub use job::{Job, JobIssue};
pub use lanes::{Code, Digest, Lanes};

/// The most lanes that [`Lanes`] has: beyond six little is gained.
pub const MAX_LANES: usize = kernel::MAX_LANES;
