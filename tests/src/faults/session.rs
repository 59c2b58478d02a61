//! A session as its client knows it: what was acknowledged, and what must hold since.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::doors::{End, GRACE};
use super::token;
use crate::Tokens;

/// So many refresh tokens of a session are remembered.
const REMEMBERED: usize = 6;

/// A session that lives.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: [u8; 16],
    /// Of consecutive generations, newest last.
    refresh: VecDeque<String>,
    access: VecDeque<String>,
    /// The newest generation came to be between these.
    sent: Instant,
    acknowledged: Instant,
    /// It did so while the instances' clocks differed.
    skewed: bool,
    /// How often the only clock had been set by then.
    steps: u64,
    /// Its client leaves it alone, so that its last refresh becomes older than the grace period.
    resting: bool,
}

/// A session that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) refresh: Vec<String>,
    pub(crate) access: Vec<String>,
    pub(crate) end: End,
    pub(crate) why: &'static str,
}

impl Session {
    /// As a sign-in has made it.
    pub(crate) fn begin(tokens: Tokens, sent: Instant, skewed: bool) -> Session {
        let (id, generation) = token::refresh_token(&tokens.refresh);
        assert_eq!(generation, 0, "the first generation");
        Session {
            id,
            refresh: [tokens.refresh].into(),
            access: [tokens.access].into(),
            sent,
            acknowledged: Instant::now(),
            skewed,
            steps: 0,
            resting: false,
        }
    }

    /// Takes the successor of the newest token. What is wrong with it, if anything is.
    pub(crate) fn advance(
        &mut self,
        tokens: Tokens,
        sent: Instant,
        skewed: bool,
        steps: u64,
    ) -> Result<(), String> {
        let (id, generation) = token::refresh_token(&tokens.refresh);
        let newest = self.generation();
        if id != self.id || generation != newest + 1 {
            return Err(format!(
                "generation {newest} was exchanged for {generation}, or another session"
            ));
        }
        self.refresh.push_back(tokens.refresh);
        self.access.push_back(tokens.access);
        if self.refresh.len() > REMEMBERED {
            self.refresh.pop_front();
        }
        if self.access.len() > 2 {
            self.access.pop_front();
        }
        (self.sent, self.acknowledged) = (sent, Instant::now());
        (self.skewed, self.steps) = (skewed, steps);
        Ok(())
    }

    pub(crate) fn newest(&self) -> &str {
        self.refresh.back().expect("never empty")
    }

    pub(crate) fn access(&self) -> &str {
        self.access.back().expect("never empty")
    }

    pub(crate) fn generation(&self) -> u32 {
        token::refresh_token(self.newest()).1
    }

    /// A token that was exchanged, and so was its successor.
    pub(crate) fn long_superseded(&self) -> Option<&str> {
        let index = self.refresh.len().checked_sub(3)?;
        Some(&self.refresh[index])
    }

    /// The token before the newest, if it must still get the newest.
    pub(crate) fn repeatable(&self, steps: u64) -> Option<&str> {
        let index = self.refresh.len().checked_sub(2)?;
        (self.steps == steps && self.sent.elapsed() < GRACE / 2).then(|| &*self.refresh[index])
    }

    /// The token before the newest, if the grace period has passed by any reading.
    pub(crate) fn superseded(&self) -> Option<&str> {
        let index = self.refresh.len().checked_sub(2)?;
        let passed = !self.skewed && self.acknowledged.elapsed() > GRACE + GRACE / 10;
        passed.then(|| &*self.refresh[index])
    }

    /// From now on its client leaves it alone, until it has been superseded for long enough.
    pub(crate) fn rest(&mut self) {
        self.resting = true;
    }

    pub(crate) fn wake(&mut self) {
        self.resting = false;
    }

    /// Not for ever: its access token expires.
    pub(crate) fn is_resting(&self) -> bool {
        self.resting && self.acknowledged.elapsed() < 4 * GRACE
    }

    /// Its access token may be from a clock that was ahead.
    pub(crate) fn is_skewed(&self) -> bool {
        self.skewed
    }

    pub(crate) fn exchanged(&self) -> usize {
        self.refresh.len() - 1
    }

    pub(crate) fn end(self, end: End, why: &'static str) -> Ended {
        Ended {
            refresh: self.refresh.into_iter().rev().take(2).collect(),
            access: self.access.into(),
            end,
            why,
        }
    }
}
