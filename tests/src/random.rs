//! Random choices that can be repeated: the seed is printed, and `COUNTERSIGN_TEST_SEED` sets it.

use std::hash::{BuildHasher, Hasher, RandomState};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and good enough to choose operations and delays.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Seeded from `COUNTERSIGN_TEST_SEED`, or else by chance; says which seed it is.
    pub fn from_environment() -> Random {
        let seed = match std::env::var("COUNTERSIGN_TEST_SEED") {
            Ok(seed) => seed.parse().expect("COUNTERSIGN_TEST_SEED is a number"),
            Err(_) => RandomState::new().build_hasher().finish(),
        };
        println!("COUNTERSIGN_TEST_SEED={seed}");
        Random(seed)
    }

    /// Seeded with this number; says so.
    pub fn from_seed(seed: u64) -> Random {
        println!("seed: {seed}");
        Random(seed)
    }

    /// A generator of its own, for a task that runs beside this one.
    pub fn fork(&mut self) -> Random {
        Random(self.next())
    }

    /// Any number.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A short text that no other call returns, in this process or another.
pub fn unique() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}
