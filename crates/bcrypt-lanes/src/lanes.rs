use std::fmt;

use crate::job::Job;
use crate::kernel::{self, MAX_LANES, Round};
use crate::portable::Portable;
use crate::state::State;

/// "OrpheanBeholderScryDoubt", which bcrypt encrypts 64 times at the end.
const TEXT: [[u32; 2]; 3] = [
    [0x4f72_7068, 0x6561_6e42],
    [0x6568_6f6c, 0x6465_7253],
    [0x6372_7944, 0x6f75_6274],
];

/// What bcrypt computes. Hash strings carry the first 23 bytes.
pub type Digest = [u8; 24];

/// Which code computes the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Safe Rust, on every processor.
    Portable,
    /// Assembly for x86-64 with BMI1.
    Bextr,
}

/// Lanes that compute bcrypt side by side, each with a password, a salt and a cost of its own.
///
/// [`start`](Self::start) fills a free lane, [`step`](Self::step) brings every filled one a cost iteration further, and
/// [`take_finished`](Self::take_finished) empties one that has come to its end. So a job never waits for others to
/// begin or to end. `T` is whatever the caller wants back with the digest.
///
/// Nothing is allocated after [`new`](Self::new). Boxes, subkeys and keys are wiped when a lane is emptied and when
/// this is dropped; what the processor's registers held is not.
pub struct Lanes<T> {
    state: Box<State>,
    /// The filled lanes; the lane of the first is 0, and so on.
    slots: [Option<Slot<T>>; MAX_LANES],
    filled: usize,
    lanes: usize,
    rounds: Rounds,
}

struct Slot<T> {
    ticket: T,
    iterations_left: u32,
}

#[derive(Clone, Copy)]
enum Rounds {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Bextr(crate::bextr::Bextr),
}

impl Rounds {
    fn best() -> Self {
        // Miri interprets no assembly.
        #[cfg(target_arch = "x86_64")]
        if let Some(bextr) = crate::bextr::Bextr::detect().filter(|_| !cfg!(miri)) {
            return Self::Bextr(bextr);
        }
        Self::Portable
    }

    /// Not generic and not inlined: this and all below it is then compiled with this crate, at its level of
    /// optimisation, and not with the crate that uses it.
    #[inline(never)]
    fn iterate(self, filled: usize, state: &mut State) {
        match self {
            Self::Portable => iterate(Portable, filled, state),
            #[cfg(target_arch = "x86_64")]
            Self::Bextr(round) => iterate(round, filled, state),
        }
    }
}

impl<T> Lanes<T> {
    /// Empty lanes, 1 to [`MAX_LANES`](crate::MAX_LANES) of them (other numbers act as the nearest), on the fastest code
    /// that this processor has.
    pub fn new(lanes: usize) -> Self {
        Self::with(Rounds::best(), lanes)
    }

    /// The same on the portable code, to compare.
    pub fn portable(lanes: usize) -> Self {
        Self::with(Rounds::Portable, lanes)
    }

    fn with(rounds: Rounds, lanes: usize) -> Self {
        Self {
            state: State::new(),
            slots: [const { None }; MAX_LANES],
            filled: 0,
            lanes: lanes.clamp(1, MAX_LANES),
            rounds,
        }
    }

    /// Which code it is.
    pub fn code(&self) -> Code {
        match self.rounds {
            Rounds::Portable => Code::Portable,
            #[cfg(target_arch = "x86_64")]
            Rounds::Bextr(_) => Code::Bextr,
        }
    }

    /// How many lanes are filled.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Whether no lane is filled.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Whether every lane is filled.
    pub fn is_full(&self) -> bool {
        self.filled == self.lanes
    }

    /// Fills a free lane. Costs about half an iteration of one lane.
    ///
    /// # Errors
    /// The ticket, if there is no free lane.
    pub fn start(&mut self, job: &Job, ticket: T) -> Result<(), T> {
        let lane = self.filled;
        let Some(slot) = self.slots.get_mut(lane).filter(|_| lane < self.lanes) else {
            return Err(ticket);
        };
        *slot = Some(Slot {
            ticket,
            iterations_left: job.iterations(),
        });
        self.state.load(lane, job);
        self.filled += 1;
        kernel::begin(&mut self.state, lane);
        Ok(())
    }

    /// One cost iteration of every filled lane: some 40 to 55 microseconds on a server core, the more lanes
    /// the longer. Does nothing while a lane has come to its end and was not taken.
    pub fn step(&mut self) {
        if self.finished().is_some() {
            return;
        }
        self.rounds.iterate(self.filled, &mut self.state);
        for slot in self.slots.iter_mut().flatten() {
            slot.iterations_left -= 1;
        }
    }

    /// Empties a lane that has come to its end. `None`: there is none, or no other one.
    pub fn take_finished(&mut self) -> Option<(T, Digest)> {
        let lane = self.finished()?;
        let digest = digest(&self.state, lane);
        let last = self.filled - 1;
        self.slots.swap(lane, last);
        if lane != last {
            self.state.copy(last, lane);
        }
        self.state.wipe(last);
        self.filled = last;
        let slot = self.slots.get_mut(last)?.take()?;
        Some((slot.ticket, digest))
    }

    fn finished(&self) -> Option<usize> {
        self.slots
            .iter()
            .position(|slot| slot.as_ref().is_some_and(|slot| slot.iterations_left == 0))
    }
}

impl<T> fmt::Debug for Lanes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lanes")
    }
}

/// One function for each number of filled lanes, so that the compiler keeps the lanes apart.
fn iterate<R: Round>(round: R, filled: usize, state: &mut State) {
    match filled {
        0 => (),
        1 => kernel::iterate::<R, 1>(round, state),
        2 => kernel::iterate::<R, 2>(round, state),
        3 => kernel::iterate::<R, 3>(round, state),
        4 => kernel::iterate::<R, 4>(round, state),
        5 => kernel::iterate::<R, 5>(round, state),
        _ => kernel::iterate::<R, 6>(round, state),
    }
}

fn digest(state: &State, lane: usize) -> Digest {
    let mut digest = [0; 24];
    for (text, bytes) in TEXT.into_iter().zip(digest.as_chunks_mut::<8>().0) {
        let block = (0..64).fold(text, |block, _| kernel::encrypt_one(state, lane, block));
        let [l, r] = block.map(u32::to_be_bytes);
        let (left, right) = bytes.split_at_mut(4);
        left.copy_from_slice(&l);
        right.copy_from_slice(&r);
    }
    digest
}
