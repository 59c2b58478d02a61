//! Rotations that were acknowledged and have yet to reach the database: one for each session, bounded.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use countersign_domain::SessionId;
use countersign_store::{Authority, Rotation, StoreError};
use tokio::time::Instant;

/// How many are written in one go, so that one that has just come does not wait for a whole backlog.
const BATCH: usize = 1024;

pub(crate) struct Pending {
    most: usize,
    held: Mutex<Held>,
    /// Only one at a time writes, so that who waits for a flush waits for all that was there before.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    rotations: HashMap<SessionId, (Rotation, Instant)>,
    reserved: usize,
}

/// Room for one rotation. Given back when dropped.
pub(crate) struct Room<'a> {
    pending: &'a Pending,
    counted: bool,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        if self.counted {
            let mut held = self.pending.lock();
            held.reserved = held.reserved.saturating_sub(1);
        }
    }
}

impl Pending {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            held: Mutex::default(),
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// Makes sure of room before anything is acknowledged. `None`: there is none, because the
    /// database has taken no rotations for long.
    pub(crate) fn reserve(&self, session: SessionId) -> Option<Room<'_>> {
        let mut held = self.lock();
        let counted = !held.rotations.contains_key(&session);
        if counted {
            if held.rotations.len() + held.reserved >= self.most {
                return None;
            }
            held.reserved += 1;
        }
        Some(Room {
            pending: self,
            counted,
        })
    }

    /// Keeps a rotation, unless a later one of the session is kept.
    pub(crate) fn note(&self, rotation: Rotation, room: Room<'_>) {
        let now = Instant::now();
        let mut held = self.lock();
        let (kept, _) = held
            .rotations
            .entry(rotation.session)
            .or_insert((rotation, now));
        if newer(&rotation, kept) {
            *kept = rotation;
        }
        // The room is given back under a lock of its own.
        drop(held);
        drop(room);
    }

    /// Writes all that is held at this moment.
    pub(crate) async fn flush(&self, to: &(impl Authority + ?Sized)) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        let mut rotations: Vec<_> = self.lock().rotations.values().map(|(r, _)| *r).collect();
        // The oldest first would be fairer; all of them within a second is fair enough.
        while !rotations.is_empty() {
            let rest = rotations.split_off(rotations.len().min(BATCH));
            to.note_rotations(&rotations).await?;
            self.written(&rotations);
            rotations = rest;
        }
        Ok(())
    }

    /// Writes what is held of one session.
    pub(crate) async fn flush_one(
        &self,
        session: SessionId,
        to: &(impl Authority + ?Sized),
    ) -> Result<(), StoreError> {
        let held = self.lock().rotations.get(&session).map(|(r, _)| *r);
        if let Some(rotation) = held {
            to.note_rotations(&[rotation]).await?;
            self.written(&[rotation]);
        }
        Ok(())
    }

    /// How many are held, and for how long the oldest has been.
    pub(crate) fn backlog(&self) -> (usize, Duration) {
        let held = self.lock();
        let oldest = held.rotations.values().map(|(_, since)| *since).min();
        (
            held.rotations.len(),
            oldest.map(|since| since.elapsed()).unwrap_or_default(),
        )
    }

    fn written(&self, rotations: &[Rotation]) {
        let mut held = self.lock();
        for rotation in rotations {
            // It may have moved on meanwhile.
            if let Some((kept, since)) = held.rotations.get_mut(&rotation.session) {
                if newer(kept, rotation) {
                    *since = Instant::now();
                } else {
                    held.rotations.remove(&rotation.session);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn newer(one: &Rotation, other: &Rotation) -> bool {
    (one.generation, one.rotated_at) > (other.generation, other.rotated_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use uuid::Uuid;

    fn rotation(session: u128, generation: u32) -> Rotation {
        let at = Timestamp::from_second(1_800_000_000 + i64::from(generation)).unwrap();
        Rotation {
            session: SessionId(Uuid::from_u128(session)),
            generation,
            rotated_at: at,
            idle_expires_at: at,
        }
    }

    fn note(pending: &Pending, rotation: Rotation) -> bool {
        let room = pending.reserve(rotation.session);
        let there_is = room.is_some();
        if let Some(room) = room {
            pending.note(rotation, room);
        }
        there_is
    }

    #[test]
    fn one_for_each_session_and_no_more_than_there_is_room_for() {
        let pending = Pending::new(2);
        assert!(note(&pending, rotation(1, 5)));
        assert!(note(&pending, rotation(1, 4)), "an older one adds nothing");
        let room = pending.reserve(SessionId(Uuid::from_u128(2)));
        assert!(room.is_some());
        assert!(!note(&pending, rotation(3, 1)), "the room is promised");
        drop(room);
        assert!(note(&pending, rotation(3, 1)));
        assert!(!note(&pending, rotation(4, 1)));
        assert!(note(&pending, rotation(1, 6)), "its place is there already");
        assert_eq!(pending.backlog().0, 2);
        pending.written(&[rotation(1, 5), rotation(3, 1)]);
        let held = pending.lock();
        assert_eq!(held.rotations.len(), 1);
        assert_eq!(held.rotations.values().next().unwrap().0, rotation(1, 6));
    }
}
