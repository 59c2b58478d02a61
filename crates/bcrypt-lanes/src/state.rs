//! What the lanes compute on.

#![allow(
    clippy::indexing_slicing,
    reason = "positions are below the fixed size of what they index; lanes are checked by the one module that calls this"
)]

use zeroize::Zeroize;

use crate::job::Job;
use crate::kernel::MAX_LANES;
use crate::pi;

/// Four boxes of 256 words for each lane; lane n begins at byte 4096 n.
#[repr(C, align(64))]
pub(crate) struct Boxes(pub(crate) [[[u32; 256]; 4]; MAX_LANES]);

/// The subkeys of all lanes side by side.
pub(crate) type Subkeys = [[u32; 8]; 18];

/// All lanes. Secret throughout: boxes and subkeys follow from the password.
#[repr(C)]
pub(crate) struct State {
    pub(crate) boxes: Boxes,
    pub(crate) subkeys: Subkeys,
    /// The key, repeated to 18 words.
    pub(crate) keys: [[u32; 18]; MAX_LANES],
    pub(crate) salts: [[u32; 4]; MAX_LANES],
}

impl State {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self {
            boxes: Boxes([[[0; 256]; 4]; MAX_LANES]),
            subkeys: [[0; 8]; 18],
            keys: [[0; 18]; MAX_LANES],
            salts: [[0; 4]; MAX_LANES],
        })
    }

    /// Puts a job into a lane, as far as the digits of pi, its key and its salt.
    pub(crate) fn load(&mut self, lane: usize, job: &Job) {
        let (boxes, _) = pi::BOXES.as_chunks::<256>();
        self.boxes.0[lane].copy_from_slice(boxes);
        self.keys[lane] = *job.key_words();
        self.salts[lane] = job.salt_words();
        for ((subkeys, start), key) in self
            .subkeys
            .iter_mut()
            .zip(pi::SUBKEYS)
            .zip(self.keys[lane])
        {
            subkeys[lane] = start ^ key;
        }
    }

    /// Copies a lane over another.
    pub(crate) fn copy(&mut self, from: usize, to: usize) {
        self.boxes.0.copy_within(from..=from, to);
        for subkeys in &mut self.subkeys {
            subkeys[to] = subkeys[from];
        }
        self.keys[to] = self.keys[from];
        self.salts[to] = self.salts[from];
    }

    /// Leaves nothing of a lane.
    pub(crate) fn wipe(&mut self, lane: usize) {
        self.boxes.0[lane].zeroize();
        for subkeys in &mut self.subkeys {
            subkeys[lane].zeroize();
        }
        self.keys[lane].zeroize();
        self.salts[lane].zeroize();
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for lane in 0..MAX_LANES {
            self.wipe(lane);
        }
    }
}
