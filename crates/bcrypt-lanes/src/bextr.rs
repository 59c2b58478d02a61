//! The round as nine instructions, for x86-64 with BMI1 (every server processor since Haswell and Piledriver). `bextr` takes a byte
//! out of a register in one instruction where the compiler uses a move, a shift and a mask, and the assembly keeps the
//! compiler from packing the lanes into vector registers.
//!
//! The only unsafe code of the workspace.

#![allow(unsafe_code)]

use std::arch::asm;

use crate::kernel::{MAX_LANES, Round};
use crate::state::Boxes;

/// The proof that this processor has BMI1.
#[derive(Clone, Copy)]
pub(crate) struct Bextr(());

impl Bextr {
    /// `None`: this processor lacks BMI1.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("bmi1").then_some(Self(()))
    }
}

/// What `bextr` takes: which bit to begin at, and in the next byte how many.
const FIRST: u32 = 24 | 8 << 8;
const SECOND: u32 = 16 | 8 << 8;
const THIRD: u32 = 8 | 8 << 8;

impl Round for Bextr {
    #[inline(always)]
    fn round<const LANE: usize>(self, boxes: &Boxes, x: u32, mut r: u32) -> u32 {
        const { assert!(LANE < MAX_LANES && size_of::<Boxes>() == MAX_LANES * 4096) };
        // SAFETY:
        // - Instructions: `bextr` exists, since a `Bextr` is made by `detect` alone.
        // - Memory: each of the four loads reads 4 bytes at `boxes + 4096 * LANE + 1024 * n + 4 * i` with n < 4 and
        //   i < 256: `bextr` of 8 bits and `movzx` of a byte clear all higher bits of the 64-bit register. The
        //   greatest address read is the last word of lane `LANE`, inside `boxes` by the assertion above, and
        //   aligned as the words are. Nothing is written to memory, so the shared reference holds.
        // - The block uses no stack. Flags are changed and declared so, by not being declared preserved.
        // - `pure` and `readonly`: the result follows from the operands and `boxes` alone.
        unsafe {
            asm!(
                "bextr {a:e}, {x:e}, {first:e}",
                "bextr {b:e}, {x:e}, {second:e}",
                "mov {a:e}, dword ptr [{boxes} + {a}*4 + {lane}]",
                "add {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 1024]",
                "bextr {b:e}, {x:e}, {third:e}",
                "xor {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 2048]",
                "movzx {b:e}, {x:l}",
                "add {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 3072]",
                "xor {r:e}, {a:e}",
                a = out(reg) _,
                b = out(reg) _,
                r = inout(reg) r,
                x = in(reg) x,
                boxes = in(reg) boxes,
                first = in(reg) FIRST,
                second = in(reg) SECOND,
                third = in(reg) THIRD,
                lane = const LANE * 4096,
                options(pure, readonly, nostack),
            );
        }
        r
    }
}
