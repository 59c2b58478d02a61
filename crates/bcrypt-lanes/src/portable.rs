//! The round in safe Rust, for every processor.

#![allow(
    clippy::indexing_slicing,
    reason = "the lane is a constant below the number of lanes, and 256 entries have an index for each byte"
)]

use std::hint::black_box;

use crate::kernel::Round;
use crate::state::Boxes;

#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Round for Portable {
    const WRITTEN_OUT: bool = false;

    #[inline(always)]
    fn round<const LANE: usize>(self, boxes: &Boxes, x: u32, r: u32) -> u32 {
        let [a, b, c, d] = &boxes.0[LANE];
        let [first, second, third, fourth] = x.to_be_bytes().map(usize::from);
        let f = (a[first].wrapping_add(b[second]) ^ c[third]).wrapping_add(d[fourth]);
        black_box(r ^ f)
    }
}
