//! Whatever the engine, a task has the same answer; and none keeps another from being done.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use countersign_domain::password::{NewPassword, PasswordHash, PresentedPassword, Scheme};
use tokio::sync::oneshot::{self, Receiver, error::TryRecvError};

use super::engine::{Taken, Work};
use super::load::{Load, Turn};
use super::{Checked, PoolSettings};

const PASSWORD: &str = "correct horse battery";
const BCRYPT: Scheme = Scheme::Bcrypt { cost: 5 };
const ARGON2ID: Scheme = Scheme::Argon2id {
    memory_kib: 64,
    iterations: 1,
    parallelism: 1,
};

fn settings(scheme: Scheme, lanes: usize) -> PoolSettings {
    PoolSettings {
        scheme,
        workers: NonZeroUsize::MIN,
        lanes: NonZeroUsize::new(lanes).unwrap(),
        longest_wait: Duration::ZERO,
    }
}

/// Tasks that wait for an engine.
struct Tasks {
    load: Arc<Load>,
    waiting: VecDeque<Taken>,
}

impl Tasks {
    fn new(settings: &PoolSettings) -> Self {
        Self {
            load: Arc::new(Load::new(settings)),
            waiting: VecDeque::new(),
        }
    }

    fn add(&mut self, work: Work) {
        let turn = Turn::begin(&self.load);
        self.waiting.push_back(Taken { work, turn });
    }

    fn check(&mut self, presented: &str, stored: Option<&str>) -> Receiver<Checked> {
        let (answer, result) = oneshot::channel();
        self.add(Work::Check {
            presented: PresentedPassword::new(presented),
            stored: stored.map(str::to_owned),
            answer,
        });
        result
    }

    /// One call after the other, as a worker does, until nothing waits.
    fn run(&mut self, settings: &PoolSettings) {
        let mut engine = settings.engine();
        while let Some(first) = self.waiting.pop_front() {
            engine.run(first, &mut || self.waiting.pop_front());
        }
    }
}

fn hash(scheme: Scheme, password: &str) -> String {
    let password = NewPassword::parse(password).unwrap();
    scheme.hash(&password, [3; 16]).as_str().to_owned()
}

fn presented() -> PresentedPassword {
    PresentedPassword::new(PASSWORD)
}

/// Right and wrong passwords against hashes of the scheme, of other costs and kinds, damaged, and none.
#[test]
fn every_engine_gives_the_same_answers() {
    let long = "a long password ".repeat(9);
    let stored = [
        Some(hash(BCRYPT, PASSWORD)),
        Some(hash(Scheme::Bcrypt { cost: 4 }, PASSWORD)),
        Some(hash(Scheme::Bcrypt { cost: 6 }, PASSWORD)),
        Some(hash(ARGON2ID, PASSWORD)),
        Some(hash(BCRYPT, &long)),
        Some("$2b$05$damaged".into()),
        None,
    ];
    for scheme in [BCRYPT, ARGON2ID] {
        let answers = |lanes: usize| {
            let settings = settings(scheme, lanes);
            let mut tasks = Tasks::new(&settings);
            let mut results = Vec::new();
            for _ in 0..3 {
                for stored in &stored {
                    for presented in [PASSWORD, "another password", &long] {
                        results.push(tasks.check(presented, stored.as_deref()));
                    }
                }
            }
            tasks.run(&settings);
            assert_eq!(tasks.load.running(), 0);
            let answers = results.iter_mut().map(|result| result.try_recv().unwrap());
            answers.collect::<Vec<_>>()
        };
        let one_by_one = answers(1);
        // The password itself is right for four of the hashes, and the long one for one.
        let matches = one_by_one.iter().filter(|checked| checked.matches).count();
        assert_eq!(matches, 15);
        for lanes in 2..=6 {
            assert_eq!(answers(lanes), one_by_one, "{scheme:?} in {lanes} lanes");
        }
    }
}

#[test]
fn what_is_hashed_in_lanes_is_what_the_scheme_hashes() {
    for scheme in [BCRYPT, ARGON2ID] {
        let settings = settings(scheme, 4);
        let mut tasks = Tasks::new(&settings);
        let mut hashes = Vec::new();
        let mut rehashes = Vec::new();
        for number in 0..9 {
            let (answer, result) = oneshot::channel();
            hashes.push(result);
            tasks.add(Work::Hash {
                password: NewPassword::parse(PASSWORD).unwrap(),
                salt: [number; 16],
                answer,
            });
            let (answer, result) = oneshot::channel();
            rehashes.push(result);
            tasks.add(Work::Rehash {
                presented: presented(),
                salt: [number; 16],
                answer,
            });
        }
        let (answer, mut of_too_long_a_password) = oneshot::channel();
        tasks.add(Work::Rehash {
            presented: PresentedPassword::new(&"x".repeat(2_000)),
            salt: [0; 16],
            answer,
        });
        tasks.run(&settings);
        let expected = (0..9).map(|number| scheme.rehash(&presented(), [number; 16]).unwrap());
        let expected: Vec<PasswordHash> = expected.collect();
        let hashes: Vec<_> = hashes.iter_mut().map(|r| r.try_recv().unwrap()).collect();
        assert_eq!(hashes, expected);
        let rehashes = rehashes.iter_mut().map(|r| r.try_recv().unwrap().unwrap());
        assert_eq!(rehashes.collect::<Vec<_>>(), expected);
        assert_eq!(of_too_long_a_password.try_recv().unwrap(), None);
    }
}

/// The expensive one was there first, and its lane is the only one it takes.
#[test]
fn an_expensive_hash_does_not_hold_up_cheap_ones() {
    let settings = settings(BCRYPT, 2);
    let mut tasks = Tasks::new(&settings);
    let expensive = hash(Scheme::Bcrypt { cost: 10 }, PASSWORD);
    let mut expensive = tasks.check(PASSWORD, Some(&expensive));
    let cheap = hash(BCRYPT, PASSWORD);
    let mut cheap: Vec<_> = (0..9)
        .map(|_| tasks.check(PASSWORD, Some(&cheap)))
        .collect();
    let mut engine = settings.engine();
    let first = tasks.waiting.pop_front().unwrap();
    let mut done_meanwhile = 0;
    engine.run(first, &mut || {
        if expensive.try_recv() == Err(TryRecvError::Empty) {
            cheap.retain_mut(|result| match result.try_recv() {
                Ok(checked) => {
                    assert!(checked.matches);
                    done_meanwhile += 1;
                    false
                }
                Err(_) => true,
            });
        }
        tasks.waiting.pop_front()
    });
    assert_eq!(done_meanwhile, 9);
}

/// Argon2id stops the lanes, but never twice without as much time for them in between: here there
/// is always one more that waits, and the bcrypt is done nevertheless.
#[test]
fn a_stream_of_foreign_hashes_does_not_stop_the_lanes_for_good() {
    let settings = settings(BCRYPT, 4);
    let mut tasks = Tasks::new(&settings);
    let mut bcrypt = tasks.check(PASSWORD, Some(&hash(BCRYPT, PASSWORD)));
    let first = tasks.waiting.pop_front().unwrap();
    let foreign = hash(Scheme::ARGON2ID, PASSWORD);
    let mut results = Vec::new();
    let mut engine = settings.engine();
    engine.run(first, &mut || match bcrypt.try_recv() {
        // The end of the stream, which nothing else brings about.
        Ok(checked) => {
            assert!(checked.matches);
            None
        }
        Err(_) => {
            results.push(tasks.check(PASSWORD, Some(&foreign)));
            tasks.waiting.pop_front()
        }
    });
    // 32 iterations in the lanes, each some 50 microseconds: far less than as many argon2id hashes.
    assert!(
        !results.is_empty() && results.len() < 16,
        "{}",
        results.len()
    );
    for mut result in results {
        assert!(result.try_recv().unwrap().matches);
    }
}

/// A wrong password against a cheaper hash costs what one against nothing costs: 16 + 16 iterations and 32.
#[test]
fn padding_is_computed_in_the_lanes_too() {
    let settings = settings(BCRYPT, 4);
    let steps = |stored: Option<&str>, presented: &str| {
        let mut tasks = Tasks::new(&settings);
        let mut result = tasks.check(presented, stored);
        let first = tasks.waiting.pop_front().unwrap();
        let mut asked = 0;
        settings.engine().run(first, &mut || {
            asked += 1;
            None
        });
        result.try_recv().unwrap();
        asked
    };
    let cheaper = hash(Scheme::Bcrypt { cost: 4 }, PASSWORD);
    // It is asked for more before each iteration, and once after the last.
    assert_eq!(steps(None, PASSWORD), 33);
    assert_eq!(steps(Some(&cheaper), "another password"), 33);
    let configured = hash(BCRYPT, PASSWORD);
    assert_eq!(steps(Some(&configured), "another password"), 33);
    // Longer than any password may be, and than bcrypt takes.
    for long in ["x".repeat(2_000), "x".repeat(100)] {
        assert_eq!(steps(None, &long), 33);
        assert_eq!(steps(Some(&configured), &long), 33);
        assert_eq!(steps(Some("$2b$05$damaged"), &long), 33);
    }
}
