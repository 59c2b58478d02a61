#![allow(
    clippy::disallowed_methods,
    reason = "shares a thread's time between two kinds of work"
)]

use std::collections::VecDeque;
use std::time::Instant;

use countersign_bcrypt_lanes::{Job, Lanes};
use countersign_domain::password::{Digest, OutOfMemory, Scheme, Work as Computation};

use super::case::{Case, Rules};
use super::engine::{Engine, Taken};

/// After how many iterations of the lanes the core is offered to others: some 200 microseconds. Each
/// offer costs a microsecond or two.
const STRETCH: u32 = 4;

/// Several bcrypts side by side, whatever their costs: each has a lane until it is done, and a lane
/// that falls free is filled at once.
///
/// What is not bcrypt stops the lanes while it is computed. So that a stream of it does not stop
/// them for good, the lanes then have as much time for themselves before the next.
pub struct SideBySide {
    rules: Rules,
    lanes: Lanes<Case>,
    /// Cases that need the thread for themselves. With those in the lanes they are never more than
    /// there are lanes, so that each finds a free one if its next computation is a bcrypt.
    held: VecDeque<Case>,
    lanes_have_until: Instant,
    /// Iterations since the core was last offered to others.
    at_a_stretch: u32,
}

impl SideBySide {
    /// An engine that hashes by `scheme` and has so many lanes.
    pub fn new(scheme: Scheme, lanes: usize) -> Self {
        Self {
            rules: Rules::new(scheme),
            lanes: Lanes::new(lanes),
            held: VecDeque::new(),
            lanes_have_until: Instant::now(),
            at_a_stretch: 0,
        }
    }

    fn begin(&mut self, task: Taken) {
        if let Some(case) = self.rules.begin(task) {
            self.place(case);
        }
    }

    fn go_on(&mut self, case: Case, digest: Result<Digest, OutOfMemory>) {
        if let Some(case) = case.next(digest) {
            self.place(case);
        }
    }

    fn place(&mut self, case: Case) {
        let job = match case.computation() {
            Computation::Bcrypt(work) => Job::new(work.cost(), work.salt(), work.key()).ok(),
            Computation::Argon2id(_) => None,
        };
        let refused = match job {
            Some(job) => self.lanes.start(&job, case).err(),
            None => Some(case),
        };
        self.held.extend(refused);
    }

    /// Offers the core to whoever waits for it.
    ///
    /// A low priority alone lets others have more of the core, not have it sooner: what wakes up may have to
    /// wait for the scheduler's next tick, up to four milliseconds, and a request wakes several threads.
    fn give_way(&mut self) {
        self.at_a_stretch += 1;
        if self.at_a_stretch == STRETCH {
            self.at_a_stretch = 0;
            std::thread::yield_now();
        }
    }

    fn run_held(&mut self) {
        while self.lanes.is_empty() || Instant::now() >= self.lanes_have_until {
            let Some(mut case) = self.held.pop_front() else {
                return;
            };
            let began = Instant::now();
            let digest = case.computation().run();
            let took = began.elapsed();
            case.turn().was_alone(took, self.lanes.filled());
            self.lanes_have_until = Instant::now() + took;
            self.go_on(case, digest);
        }
    }
}

impl Engine for SideBySide {
    fn run(&mut self, first: Taken, more: &mut dyn FnMut() -> Option<Taken>) {
        self.begin(first);
        loop {
            while self.held.is_empty() && !self.lanes.is_full() {
                match more() {
                    Some(task) => self.begin(task),
                    None => break,
                }
            }
            if !self.held.is_empty() {
                self.run_held();
            }
            if self.lanes.is_empty() {
                if self.held.is_empty() {
                    return;
                }
                continue;
            }
            self.lanes.step();
            self.give_way();
            while let Some((case, digest)) = self.lanes.take_finished() {
                self.go_on(case, Ok(Digest::new(digest[..23].to_vec())));
            }
        }
    }
}
