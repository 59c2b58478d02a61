//! Password hashing on threads of its own, so that it never makes anything else wait.

mod engine;
mod pool;
mod queue;

pub use engine::{Engine, OneByOne, Task, Work};
pub use pool::{HashPool, HashingFigures, PoolSettings};
pub use queue::{Room, room};

/// What became of a presented password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// It is the right one.
    pub matches: bool,
    /// It is right, and its hash should be replaced by one of the configured kind and cost.
    pub rehash: bool,
}
