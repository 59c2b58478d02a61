//! Who waits for a hash, in which order, and how many may.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use countersign_domain::address::AddressBlock;

/// Bounds the memory of the queue where a hash costs next to nothing.
const MOST_PLACES: usize = 4096;

/// A line for each address, served in turn: whoever brings one sign-in waits for at most one of everybody
/// else, however many somebody else brings.
pub(super) struct FairQueue<T> {
    lines: HashMap<AddressBlock, VecDeque<T>>,
    /// The addresses that have a line, the next to be served first.
    turns: VecDeque<AddressBlock>,
    waiting: usize,
}

/// How many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub places: usize,
    /// Of one address.
    pub per_address: usize,
}

/// How many may wait when every worker is busy and one hash takes `each`.
pub fn room(longest: Duration, each: Duration, workers: usize) -> Room {
    Room::within(longest, each, workers, workers)
}

impl Room {
    /// As many as are begun within `longest` when one takes `each`; and no fewer than there are idle workers. One address gets a quarter of them, so that three others find room.
    pub(super) fn within(
        longest: Duration,
        each: Duration,
        workers: usize,
        running: usize,
    ) -> Self {
        let rounds = longest.as_nanos() / each.as_nanos().max(1);
        let in_time = usize::try_from(rounds)
            .unwrap_or(MOST_PLACES)
            .saturating_mul(workers)
            .min(MOST_PLACES);
        Self {
            places: in_time + workers.saturating_sub(running),
            per_address: (in_time / 4).max(workers),
        }
    }
}

impl<T> FairQueue<T> {
    pub(super) fn len(&self) -> usize {
        self.waiting
    }

    /// After how many of those who wait now somebody from there would be served; at most.
    pub(super) fn ahead(&self, from: AddressBlock) -> usize {
        let own = self.lines.get(&from).map_or(0, VecDeque::len);
        self.waiting.min(self.lines.len().saturating_mul(own + 1))
    }

    /// Whether somebody from there could join now.
    pub(super) fn admits(
        &mut self,
        from: AddressBlock,
        room: Room,
        abandoned: impl Fn(&T) -> bool,
    ) -> bool {
        if self.waiting >= room.places || self.line(from) >= room.per_address {
            self.sweep(abandoned);
        }
        let own = self.line(from);
        let longest = self.lines.values().map(VecDeque::len).max().unwrap_or(0);
        own < room.per_address && (self.waiting < room.places || longest > own + 1)
    }

    /// Joins the line of an address, or answers `false` where there is no room. When all places are
    /// taken, the last of the longest line makes room for somebody from a line that is shorter by more than one.
    pub(super) fn join(
        &mut self,
        from: AddressBlock,
        task: T,
        room: Room,
        abandoned: impl Fn(&T) -> bool,
    ) -> bool {
        if !self.admits(from, room, abandoned) {
            return false;
        }
        if self.waiting >= room.places {
            self.displace();
        }
        let line = self.lines.entry(from).or_default();
        if line.is_empty() {
            self.turns.push_back(from);
        }
        line.push_back(task);
        self.waiting += 1;
        true
    }

    /// The next one, of the address whose turn it is.
    pub(super) fn next(&mut self) -> Option<T> {
        let from = self.turns.pop_front()?;
        let Entry::Occupied(mut line) = self.lines.entry(from) else {
            return None;
        };
        let task = line.get_mut().pop_front();
        match line.get().is_empty() {
            true => drop(line.remove()),
            false => self.turns.push_back(from),
        }
        self.waiting -= usize::from(task.is_some());
        task
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn line(&self, from: AddressBlock) -> usize {
        self.lines.get(&from).map_or(0, VecDeque::len)
    }

    /// Sends away the last of the longest line, which must be longer than one.
    fn displace(&mut self) {
        if let Some(line) = self.lines.values_mut().max_by_key(|line| line.len()) {
            debug_assert!(line.len() > 1);
            line.pop_back();
            self.waiting -= 1;
        }
    }

    /// Forgets those for whom nobody waits any more.
    fn sweep(&mut self, abandoned: impl Fn(&T) -> bool) {
        self.lines.retain(|_, line| {
            line.retain(|task| !abandoned(task));
            !line.is_empty()
        });
        let lines = &self.lines;
        self.turns.retain(|from| lines.contains_key(from));
        self.waiting = lines.values().map(VecDeque::len).sum();
    }
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room {
        places: 8,
        per_address: 4,
    };

    fn from(number: u8) -> AddressBlock {
        AddressBlock::V4([10, 0, 0, number])
    }

    fn join(queue: &mut FairQueue<(u8, u8)>, address: u8, task: u8) -> bool {
        queue.join(from(address), (address, task), ROOM, |_| false)
    }

    fn drain(queue: &mut FairQueue<(u8, u8)>) -> Vec<(u8, u8)> {
        let drained = std::iter::from_fn(|| queue.next()).collect();
        assert_eq!(
            (queue.len(), queue.lines.len(), queue.turns.len()),
            (0, 0, 0)
        );
        drained
    }

    #[test]
    fn addresses_take_turns() {
        let mut queue = FairQueue::default();
        for task in 0..4 {
            assert!(join(&mut queue, 1, task));
        }
        assert_eq!((queue.ahead(from(1)), queue.ahead(from(2))), (4, 1));
        assert!(join(&mut queue, 2, 0));
        assert!(join(&mut queue, 3, 0));
        let order = [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2), (1, 3)];
        assert_eq!(drain(&mut queue), order);
    }

    #[test]
    fn one_address_cannot_fill_it() {
        let mut queue = FairQueue::default();
        assert_eq!((0..20).filter(|task| join(&mut queue, 1, *task)).count(), 4);
        assert_eq!(queue.len(), 4);
        assert!(join(&mut queue, 2, 0));
    }

    #[test]
    fn a_full_queue_makes_room_for_who_has_fewer() {
        let mut queue = FairQueue::default();
        for task in 0..4 {
            assert!(join(&mut queue, 1, task) && join(&mut queue, 2, task));
        }
        assert!((3..6).all(|address| join(&mut queue, address, 0)));
        assert_eq!(queue.len(), 8);
        // Two of one line or the other had to go; the first ones of both are still there.
        let served = drain(&mut queue);
        for task in [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0), (5, 0)] {
            assert!(served.contains(&task), "{task:?}: {served:?}");
        }
        // Whoever has as many as anybody displaces nobody.
        for address in 0..8 {
            assert!(join(&mut queue, address, 0));
        }
        assert!(!join(&mut queue, 9, 0));
        assert!(!join(&mut queue, 1, 1));
        assert_eq!(drain(&mut queue).len(), 8);
    }

    #[test]
    fn who_has_gone_takes_no_place() {
        let mut queue = FairQueue::default();
        for task in 0..4 {
            assert!(join(&mut queue, 1, task) && join(&mut queue, 2, task));
        }
        let gone = |task: &(u8, u8)| task.0 == 1;
        assert!(queue.join(from(1), (1, 9), ROOM, gone));
        assert_eq!(queue.len(), 5);
        assert_eq!(drain(&mut queue)[0], (2, 0));
    }

    #[test]
    fn room_is_what_can_be_served_in_time() {
        let seconds = Duration::from_secs_f64;
        let room = |longest, each, running| {
            let room = Room::within(seconds(longest), seconds(each), 2, running);
            (room.places, room.per_address)
        };
        assert_eq!(room(5.0, 0.25, 2), (40, 10));
        assert_eq!(room(5.0, 0.25, 0), (42, 10));
        // A hash that takes longer than anybody may wait is still done when a worker is idle.
        assert_eq!(room(1.0, 4.0, 0), (2, 2));
        assert_eq!(room(1.0, 4.0, 2), (0, 2));
        assert_eq!(room(5.0, 0.0, 2).0, MOST_PLACES);
    }
}
