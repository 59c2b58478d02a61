//! The one place that asks the machine what time it is.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

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

/// The machine's clock, set right by one that all instances share: the database's. The grace period of refresh tokens
/// and the start of access tokens are compared between instances, whose clocks may be wrong.
#[derive(Debug, Default)]
pub struct SharedClock<C = SystemClock> {
    machine: C,
    /// How far the shared clock is ahead of the machine's, in microseconds.
    ahead: AtomicI64,
}

impl<C: Clock> SharedClock<C> {
    /// Clocks that differ by no more count as equal: so much comes from asking alone.
    const EQUAL: SignedDuration = SignedDuration::from_secs(1);

    /// What the machine's own clock shows.
    pub fn machine(&self) -> Timestamp {
        self.machine.now()
    }

    /// Takes over that the shared clock showed `shared`, when it was asked at `asked` by the machine's. An answer that
    /// took over a second says too little, and is passed over. Answers the new difference, if it has changed.
    pub fn compare(&self, asked: Timestamp, shared: Timestamp) -> Option<SignedDuration> {
        let took = self.machine.now().duration_since(asked);
        if took.is_negative() || took > Self::EQUAL {
            return None;
        }
        let ahead = shared.duration_since(asked) - took / 2;
        let ahead = match ahead.abs() > Self::EQUAL {
            true => ahead,
            false => SignedDuration::ZERO,
        };
        let micros = i64::try_from(ahead.as_micros()).unwrap_or_default();
        let before = SignedDuration::from_micros(self.ahead.swap(micros, Ordering::Relaxed));
        ((ahead - before).abs() > Self::EQUAL).then_some(ahead)
    }
}

impl<C: Clock> Clock for SharedClock<C> {
    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_micros(self.ahead.load(Ordering::Relaxed));
        let machine = self.machine.now();
        machine.checked_add(ahead).unwrap_or(machine)
    }

    fn elapsed(&self) -> Duration {
        self.machine.elapsed()
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A clock that shows what the test says.
    #[derive(Default)]
    struct Shown(Mutex<i64>);

    impl Clock for Shown {
        fn now(&self) -> Timestamp {
            second(*self.0.lock().unwrap())
        }

        fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_wrong_clock_is_set_right_and_goes_on_by_itself() {
        let clock = SharedClock::<Shown>::default();
        let ahead = clock.compare(second(0), second(-120));
        assert_eq!(ahead, Some(SignedDuration::from_secs(-120)));
        assert_eq!(clock.now(), second(-120));
        *clock.machine.0.lock().unwrap() = 30;
        assert_eq!(clock.now(), second(-90));
        assert_eq!(clock.compare(second(30), second(-90)), None, "nothing new");
        // Somebody has set the machine's clock right.
        *clock.machine.0.lock().unwrap() = -90;
        let ahead = clock.compare(second(-90), second(-90));
        assert_eq!(ahead, Some(SignedDuration::ZERO));
        assert_eq!(clock.now(), second(-90));
    }

    #[test]
    fn a_second_is_nothing_and_a_slow_answer_says_nothing() {
        let clock = SharedClock::<Shown>::default();
        assert_eq!(clock.compare(second(0), second(1)), None);
        assert_eq!(clock.now(), second(0));
        *clock.machine.0.lock().unwrap() = 2;
        assert_eq!(clock.compare(second(0), second(500)), None);
        assert_eq!(clock.now(), second(2));
    }
}
