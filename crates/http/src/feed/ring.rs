//! What was sent lately, as it was sent, for clients that come back.

use std::collections::VecDeque;

use bytes::Bytes;
use countersign_flows::{Learned, NEWS_LASTS, Progress};

use super::resume::ResumePoint;

/// A number counts as passed once it has been known for so long: by then every transaction with a smaller one has
/// committed or never will. The same time is gone back behind what a client says that it has seen.
const OVERLAP: i64 = 60_000;

/// Clients that were away for longer get everything. A margin below what is kept.
const LONGEST_ABSENCE: i64 = 8 * 60_000;

/// A client's last heartbeat may lie so far ahead of this instance's clock.
const AHEAD: i64 = 5_000;

/// The most bytes that are kept.
const ROOM: usize = 32 * 1024 * 1024;

/// All times are milliseconds since the start of the process.
#[derive(Default)]
pub(super) struct Ring {
    frames: VecDeque<Kept>,
    bytes: usize,
    /// The place of the first frame that is kept, counted from the first that ever was.
    first: u64,
    /// No frame that is gone tells of an announcement with a greater number.
    gone: i64,
    /// What is known of before that time is not all kept.
    whole_since: Option<i64>,
    /// When which number was the greatest that was known.
    known: VecDeque<(i64, i64)>,
    passed: i64,
    restored: u64,
}

struct Kept {
    frame: Bytes,
    /// When the latest of its facts was learned.
    to: i64,
    /// The greatest number in it, or a greater one; unknown until the announcements have been followed once more.
    bound: Option<i64>,
}

impl Ring {
    /// Keeps a frame that tells of these.
    pub(super) fn push(&mut self, frame: Bytes, facts: &[Learned]) {
        let times = facts.iter().map(|learned| learned.at);
        // None where one is missing.
        let numbers: Option<Vec<_>> = facts.iter().map(|learned| learned.seq).collect();
        self.bytes += frame.len();
        self.frames.push_back(Kept {
            frame,
            to: times.max().unwrap_or_default(),
            bound: numbers.map(|all| all.into_iter().max().unwrap_or_default()),
        });
    }

    /// Everything before is unknown: there was more of it than could be kept.
    pub(super) fn forget(&mut self, now: i64) {
        self.first += self.frames.len() as u64;
        self.frames.clear();
        self.bytes = 0;
        self.whole_since = Some(now);
    }

    /// Notes how far the announcements have been followed, and lets go of what is old.
    pub(super) fn followed(&mut self, progress: &Progress, now: i64) {
        if progress.restored != self.restored {
            // Numbers are given out once more.
            self.restored = progress.restored;
            self.forget(now);
            (self.gone, self.passed) = (0, 0);
            self.known.clear();
        }
        self.gone = self.gone.max(progress.passed_over);
        for kept in &mut self.frames {
            if kept.bound.is_none() && kept.to < progress.began {
                kept.bound = Some(progress.newest);
            }
        }
        if self.known.back().is_none_or(|(at, _)| *at < progress.began) {
            self.known.push_back((progress.began, progress.newest));
        }
        while let Some((at, newest)) = self.known.front()
            && *at <= now - OVERLAP
        {
            self.passed = *newest;
            self.known.pop_front();
        }
        let old = |kept: &Kept| i128::from(kept.to) < i128::from(now) - NEWS_LASTS.as_millis();
        while let Some(kept) = self.frames.front()
            && (old(kept) || self.bytes > ROOM)
        {
            self.bytes -= kept.frame.len();
            self.first += 1;
            match kept.bound {
                Some(bound) => self.gone = self.gone.max(bound),
                None => self.whole_since = Some(now),
            }
            self.whole_since = self.whole_since.max(Some(kept.to));
            self.frames.pop_front();
        }
    }

    /// All announcements up to this number have been sent to whoever gets all frames.
    pub(super) fn passed(&self) -> i64 {
        self.passed
    }

    /// The place behind the last frame.
    pub(super) fn end(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    /// Whether all frames from a place on are kept.
    pub(super) fn reaches(&self, place: u64) -> bool {
        place >= self.first
    }

    /// So many frames from a place on, and the place behind them; `None` where some are gone.
    pub(super) fn since(&self, place: u64, most: usize) -> Option<(Vec<Bytes>, u64)> {
        let skipped = usize::try_from(place.checked_sub(self.first)?).ok()?;
        let frames = self.frames.iter().skip(skipped).take(most);
        let frames: Vec<_> = frames.map(|kept| kept.frame.clone()).collect();
        let end = place + frames.len() as u64;
        Some((frames, end))
    }

    /// The place from which on a client lacks frames that says it has got to `point`, `age` milliseconds ago by the clock. What it may
    /// lack has a greater number or has come since; both are asked, since clocks may be set and databases restored.
    /// `None`: that cannot be said.
    pub(super) fn place_of(&self, point: &ResumePoint, age: i64, now: i64) -> Option<u64> {
        if !(-AHEAD..=LONGEST_ABSENCE).contains(&age) || point.seq < self.gone {
            return None;
        }
        let since = now - age - OVERLAP;
        if self.whole_since.is_some_and(|whole| since <= whole) {
            return None;
        }
        let lacks =
            |kept: &Kept| kept.to >= since || kept.bound.is_none_or(|bound| bound > point.seq);
        let sent = self.frames.iter().take_while(|kept| !lacks(kept)).count();
        Some(self.first + sent as u64)
    }

    /// How many bytes the frames take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use countersign_flows::Fact;

    use super::*;

    fn learned(seq: Option<i64>, at: i64) -> Learned {
        Learned {
            fact: Fact::KeysChanged,
            seq,
            at,
        }
    }

    fn push(ring: &mut Ring, seq: Option<i64>, at: i64) {
        ring.push(Bytes::from(format!("{at}")), &[learned(seq, at)]);
    }

    fn followed(ring: &mut Ring, began: i64, newest: i64) {
        let progress = Progress {
            began,
            newest,
            ..Progress::default()
        };
        ring.followed(&progress, began);
    }

    fn since(ring: &Ring, place: u64, most: usize) -> Vec<Bytes> {
        ring.since(place, most).unwrap().0
    }

    fn point(seq: i64) -> ResumePoint {
        ResumePoint {
            installation: 1,
            seq,
            as_of: 0,
        }
    }

    #[test]
    fn what_has_a_greater_number_or_came_since_is_sent_again() {
        let mut ring = Ring::default();
        push(&mut ring, Some(5), 1_000);
        push(&mut ring, Some(9), 2_000);
        push(&mut ring, None, 100_000);
        let now = 200_000;
        // 190 s ago is long before anything.
        assert_eq!(ring.place_of(&point(4), 10_000, now), Some(0));
        assert_eq!(ring.place_of(&point(5), 10_000, now), Some(1));
        // One without a number may have any.
        assert_eq!(ring.place_of(&point(9), 10_000, now), Some(2));
        followed(&mut ring, 150_000, 9);
        assert_eq!(ring.place_of(&point(9), 10_000, now), Some(3));
        // The overlap: the last came within 60 s before.
        assert_eq!(ring.place_of(&point(9), 50_000, now), Some(2));
        assert_eq!(since(&ring, 2, 9), ["100000"]);
        assert_eq!(since(&ring, 3, 9), [""; 0]);
        assert_eq!(since(&ring, 4, 9), [""; 0]);
        // In parts, each of which says where the next begins.
        assert_eq!(ring.since(0, 2).unwrap().1, 2);
        assert_eq!(since(&ring, 0, 2), ["1000", "2000"]);
    }

    #[test]
    fn what_cannot_be_said_gets_everything() {
        let mut ring = Ring::default();
        let now = 1_000_000;
        assert_eq!(ring.place_of(&point(0), 0, now), Some(0));
        for age in [LONGEST_ABSENCE + 1, -AHEAD - 1, i64::MAX, i64::MIN] {
            assert_eq!(ring.place_of(&point(0), age, now), None, "{age}");
        }
        // Passed over at the start.
        let progress = Progress {
            passed_over: 7,
            ..Progress::default()
        };
        ring.followed(&progress, now);
        assert_eq!(ring.place_of(&point(6), 0, now), None);
        assert_eq!(ring.place_of(&point(7), 0, now), Some(0));
        // Too much came at once.
        ring.forget(now);
        assert_eq!(ring.place_of(&point(7), 0, now), None);
        assert_eq!(ring.place_of(&point(7), 0, now + OVERLAP + 1), Some(0));
    }

    #[test]
    fn old_frames_go_and_their_numbers_are_remembered() {
        let mut ring = Ring::default();
        push(&mut ring, Some(5), 1_000);
        push(&mut ring, Some(6), 400_000);
        followed(&mut ring, 602_000, 6);
        assert_eq!(ring.since(0, 9), None);
        assert!(!ring.reaches(0) && ring.reaches(1));
        assert_eq!(since(&ring, 1, 9), ["400000"]);
        assert_eq!(ring.bytes(), 6);
        assert_eq!(ring.place_of(&point(4), 1_000, 602_000), None);
        assert_eq!(ring.place_of(&point(5), 1_000, 602_000), Some(1));
    }

    #[test]
    fn a_number_has_passed_after_the_overlap() {
        let mut ring = Ring::default();
        followed(&mut ring, 1_000, 5);
        followed(&mut ring, 30_000, 9);
        assert_eq!(ring.passed(), 0);
        followed(&mut ring, 61_000, 12);
        assert_eq!(ring.passed(), 5);
        followed(&mut ring, 90_000, 12);
        assert_eq!(ring.passed(), 9);
    }

    #[test]
    fn in_a_restored_database_numbers_begin_again() {
        let mut ring = Ring::default();
        push(&mut ring, Some(500), 1_000);
        let progress = Progress {
            began: 100_000,
            newest: 3,
            restored: 1,
            ..Progress::default()
        };
        ring.followed(&progress, 100_000);
        assert_eq!(ring.place_of(&point(500), 0, 100_000), None);
        push(&mut ring, Some(4), 130_000);
        assert_eq!(ring.place_of(&point(500), 1_000, 170_000), Some(1));
    }
}
