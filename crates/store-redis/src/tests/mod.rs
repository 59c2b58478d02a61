//! Tests that need the inside of the crate, and a Redis.

mod interleavings;
mod limits;
mod memory;
mod refresh;
mod support;
