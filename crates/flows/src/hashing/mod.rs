//! Password hashing on threads of its own, so that it never makes anything else wait.

mod case;
mod engine;
mod load;
mod measure;
mod pool;
mod priority;
mod queue;
mod side_by_side;
#[cfg(test)]
mod tests;

pub use engine::{Engine, OneByOne, Taken, Task, Work};
pub use measure::{time_of_full_lanes, time_of_one};
pub use pool::{HashPool, HashingFigures, PoolSettings};
pub use queue::{Room, room};
pub use side_by_side::SideBySide;

/// What became of a presented password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// It is the right one.
    pub matches: bool,
    /// It is right, and its hash should be replaced by one of the configured kind and cost.
    pub rehash: bool,
}
