//! A session with its honest client, a thief, a backend that may lose its newest state, and a clock
//! that may be set. After each step `checks.rs` looks whether the invariants hold.

use std::collections::{BTreeSet, HashMap, HashSet};

use countersign_domain::rotation::{Decision, EndReason, RotationPolicy, SessionState};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::schedule::{Edge, Millis, SECOND, Setup, Step};
use super::store::Store;
use super::witness::{Exchange, Outcome, Witness};

pub(crate) type Check<T = ()> = Result<T, TestCaseError>;

const BEGINNING: Millis = 1_800_000_000 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Client,
    Thief,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) now: Millis,
    pub(crate) really_now: Millis,
    pub(crate) set_back: Millis,
    pub(crate) store: Store,
    pub(crate) witness: Witness,
    /// The client's token, and its requests that have not arrived.
    pub(crate) held: u32,
    pub(crate) signed_out: bool,
    pub(crate) on_the_way: Vec<u32>,
    pub(crate) sent_before: BTreeSet<u32>,
    /// Every token that the thief has.
    pub(crate) loot: BTreeSet<u32>,
    pub(crate) thief_acted: bool,
    pub(crate) losses: u32,
    pub(crate) newest: u32,
    pub(crate) successors: HashMap<u32, u32>,
    pub(crate) expired_at: Option<Millis>,
    pub(crate) seen: HashSet<Outcome>,
    pub(crate) adoptions: u32,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Self {
        let policy = RotationPolicy {
            grace: SignedDuration::from_millis(setup.grace),
            idle: SignedDuration::from_millis(setup.idle),
        };
        let state = SessionState {
            generation: setup.first,
            rotated_at: at(BEGINNING),
            // May be after the absolute expiry, which must hold all the same.
            idle_expires_at: at(BEGINNING + setup.idle),
            expires_at: at(BEGINNING + setup.absolute),
            ended: None,
        };
        Self {
            setup,
            now: BEGINNING,
            really_now: 0,
            set_back: 0,
            store: Store::new(state, policy),
            witness: Witness::new(setup, BEGINNING),
            held: setup.first,
            signed_out: false,
            on_the_way: Vec::new(),
            sent_before: BTreeSet::new(),
            loot: BTreeSet::new(),
            thief_acted: false,
            losses: 0,
            newest: setup.first,
            successors: HashMap::new(),
            expired_at: None,
            seen: HashSet::new(),
            adoptions: 0,
        }
    }

    pub(crate) fn run(&mut self, schedule: &[Step]) -> Check {
        schedule.iter().try_for_each(|step| {
            self.step(step)?;
            self.check_state()
        })
    }

    fn step(&mut self, step: &Step) -> Check {
        match *step {
            Step::Send { requests } => self.send(requests),
            Step::Arrive { which, answer_lost } if !self.on_the_way.is_empty() => {
                let generation = self.on_the_way.remove(which.index(self.on_the_way.len()));
                self.client_request(generation, answer_lost)?;
            }
            Step::Copy => {
                self.loot.insert(self.held);
            }
            Step::Steal { which } if !self.loot.is_empty() => {
                let nth = which.index(self.loot.len());
                if let Some(&generation) = self.loot.iter().nth(nth) {
                    self.thief_request(generation)?;
                }
            }
            Step::Arrive { .. } | Step::Steal { .. } => {}
            Step::Wait(time) => self.pass(time)?,
            Step::WaitFor { edge, offset } => self.pass_edge(edge, offset)?,
            Step::SetClock(by) => {
                self.settle_before(self.now + by)?;
                self.now += by;
                self.set_back += (-by).max(0);
            }
            Step::WriteBehind => {
                self.store.write_behind();
                self.witness.saw_write_behind();
            }
            Step::Lose => self.lose()?,
            Step::Logout => {
                self.store.end(EndReason::Logout);
                self.witness.saw_end(EndReason::Logout);
            }
        }
        Ok(())
    }

    fn lose(&mut self) -> Check {
        let before = self.store.fast.refresh_expires_at();
        self.store.lose();
        self.witness.saw_loss();
        self.losses += 1;
        if self.store.fast.refresh_expires_at() > before {
            // I5: only exchanges after the clock was set back had brought the expiry forward.
            prop_assert!(self.set_back > 0);
            self.expired_at = None;
        }
        Ok(())
    }

    /// A client with a newer token does not use it before its older requests have arrived. One that
    /// did would be two ahead of them, which no grace period covers.
    fn send(&mut self, requests: usize) {
        if !self.signed_out && self.on_the_way.iter().all(|&older| older == self.held) {
            self.on_the_way.extend(vec![self.held; requests]);
        }
    }

    pub(crate) fn pass_edge(&mut self, edge: Edge, offset: Millis) -> Check {
        let edge = match edge {
            Edge::Grace => self.witness.grace_end().unwrap_or(self.now),
            Edge::Idle => self.witness.idle_expiry(),
            Edge::Absolute => self.witness.absolute_expiry(),
        };
        self.pass((edge + offset - self.now).max(0))
    }

    pub(crate) fn pass(&mut self, time: Millis) -> Check {
        self.settle_before(self.now + time)?;
        self.now += time;
        self.really_now += time;
        Ok(())
    }

    /// A prompt client has its answers before the grace period is over. It is the clock that counts:
    /// one that is set forward cuts the grace period short.
    fn settle_before(&mut self, then: Millis) -> Check {
        let in_time = |end| self.now <= end && end < then;
        if !self.setup.prompt || !self.witness.grace_end().is_some_and(in_time) {
            return Ok(());
        }
        while let Some(generation) = self.on_the_way.pop() {
            self.client_request(generation, false)?;
        }
        let exchanged = self.witness.last().map(|last| last.generation);
        if exchanged == Some(self.held) && !self.signed_out {
            self.client_request(self.held, false)?;
        }
        Ok(())
    }

    pub(crate) fn client_request(&mut self, generation: u32, answer_lost: bool) -> Check {
        let (outcome, successor) = self.present(generation)?;
        self.check_client(generation, outcome)?;
        self.sent_before.insert(generation);
        match successor {
            _ if answer_lost => {}
            Some(successor) => self.held = self.held.max(successor),
            None => self.signed_out = true,
        }
        Ok(())
    }

    pub(crate) fn thief_request(&mut self, generation: u32) -> Check {
        self.thief_acted = true;
        let (_, successor) = self.present(generation)?;
        self.loot.extend(successor);
        Ok(())
    }

    fn present(&mut self, generation: u32) -> Check<(Outcome, Option<u32>)> {
        let demanded = self.witness.demands(generation, self.now);
        let decision = self.store.present(generation, at(self.now));
        let outcome = Outcome::from(decision);
        // I1, I3, I4, I5: neither more nor less than what the history allows.
        prop_assert_eq!(outcome, demanded, "token {}", generation);
        let successor = match decision {
            Decision::Rotate { to, adopted } => {
                prop_assert!(!adopted || self.losses > 0, "adopted without a loss");
                self.adoptions += u32::from(adopted);
                Some(to)
            }
            Decision::Repeat { generation } => Some(generation),
            Decision::Reuse | Decision::Dead(_) => None,
        };
        if let Some(successor) = successor {
            self.check_yield(generation, outcome, successor)?;
            self.newest = self.newest.max(successor);
        }
        match outcome {
            Outcome::Rotated => self.witness.saw_exchange(Exchange {
                generation,
                at: self.now,
                really_at: self.really_now,
                set_back: self.set_back,
            }),
            Outcome::Reuse => self.witness.saw_end(EndReason::Reuse),
            Outcome::Expired if generation < u32::MAX => {
                self.expired_at = Some(self.expired_at.map_or(self.now, |at| at.min(self.now)));
            }
            _ => {}
        }
        self.seen.insert(outcome);
        Ok((outcome, successor))
    }
}

pub(crate) fn at(time: Millis) -> Timestamp {
    Timestamp::from_millisecond(time).unwrap()
}
