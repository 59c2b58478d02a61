//! The one place that asks the machine what time it is.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole microseconds: what databases keep. May be set, forward or back, at any time.
    fn now(&self) -> Timestamp;

    /// How long the process has been running. Only ever grows, whatever is done to the clock.
    fn elapsed(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn now(&self) -> Timestamp {
        whole_microseconds(Timestamp::now())
    }

    #[allow(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn elapsed(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(feature = "testing")]
pub use testing::ManualClock;

#[cfg(feature = "testing")]
mod testing {
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::Clock;

    /// A clock that stands still until a test moves it.
    #[derive(Debug)]
    pub struct ManualClock(Mutex<(Timestamp, Duration)>);

    impl ManualClock {
        /// A clock that stands at `now`.
        pub fn new(now: Timestamp) -> Self {
            Self(Mutex::new((now, Duration::ZERO)))
        }

        /// Lets time pass; a negative step sets the clock back while no time passes.
        pub fn step(&self, by: SignedDuration) {
            let mut clock = self.lock();
            clock.0 += by;
            clock.1 += Duration::try_from(by).unwrap_or_default();
        }

        /// Sets the clock forward or back while no time passes.
        pub fn set_by(&self, by: SignedDuration) {
            self.lock().0 += by;
        }

        fn lock(&self) -> MutexGuard<'_, (Timestamp, Duration)> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            self.lock().0
        }

        fn elapsed(&self) -> Duration {
            self.lock().1
        }
    }
}
