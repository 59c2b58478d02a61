//! The invariants, by their numbers in `rotation.rs`.

use countersign_domain::rotation::{Decision, EndReason};
use proptest::prelude::*;

use super::witness::Outcome;
use super::world::{Check, World, at};

impl World {
    pub(crate) fn check_yield(
        &mut self,
        generation: u32,
        outcome: Outcome,
        successor: u32,
    ) -> Check {
        // I1: by the watch, a repeat comes within the grace period and what the clock was set back.
        if let (Outcome::Repeated, Some(last)) = (outcome, self.witness.last()) {
            let allowed = self.setup.grace + self.set_back - last.set_back;
            prop_assert!(self.really_now - last.really_at <= allowed);
        }
        // I2: one successor for ever, also across losses, and no wrapping around.
        prop_assert_eq!(Some(successor), generation.checked_add(1));
        let known = *self.successors.entry(generation).or_insert(successor);
        prop_assert_eq!(known, successor);
        // I5: over is over, until the clock is set back before it.
        prop_assert!(self.witness.ended().is_none());
        prop_assert!(self.expired_at.is_none_or(|expired| self.now < expired));
        prop_assert!(self.now < self.witness.absolute_expiry());
        self.expired_at = None;
        Ok(())
    }

    /// I3: what may happen to an honest client.
    pub(crate) fn check_client(&self, generation: u32, outcome: Outcome) -> Check {
        if !self.thief_acted {
            let prompt = self.setup.prompt && self.setup.grace > 0;
            let out = matches!(outcome, Outcome::Reuse | Outcome::Ended(EndReason::Reuse));
            prop_assert!(!(out && prompt), "signed out for nothing");
            let repeated = self.sent_before.contains(&generation);
            prop_assert!(
                outcome != Outcome::Reuse || repeated,
                "used for the first time"
            );
        }
        Ok(())
    }

    pub(crate) fn check_state(&self) -> Check {
        let (fast, durable) = (&self.store.fast, &self.store.durable);
        // I5: no rotation moves the idle expiry past the absolute one, which never moves.
        let unused = fast.generation == self.setup.first;
        prop_assert!(unused || fast.idle_expires_at <= fast.expires_at);
        prop_assert_eq!(fast.expires_at, at(self.witness.absolute_expiry()));
        // I2: what would be accepted at this moment.
        let yields = |generation: &u32| {
            let decision = self.store.would(*generation, at(self.now));
            matches!(decision, Decision::Rotate { .. } | Decision::Repeat { .. })
        };
        let accepted: Vec<u32> = (self.setup.first..=self.newest).filter(yields).collect();
        if self.losses == 0 {
            let in_grace = self.setup.grace > 0 && self.witness.grace_end() >= Some(self.now);
            let oldest = self.newest.saturating_sub(u32::from(in_grace));
            prop_assert!(accepted.iter().all(|&generation| generation >= oldest));
        }
        // I6: a loss never revives what the database knew to be exchanged.
        let oldest = durable.generation.saturating_sub(1);
        prop_assert!(accepted.iter().all(|&generation| generation >= oldest));
        Ok(())
    }
}
