//! The round in assembly, for x86-64 with BMI1 (every server processor since Haswell and Piledriver). It keeps the compiler
//! from packing the lanes into vector registers, and takes few of its own: a byte out of the middle is had by `bextr`
//! or the name of a register's second byte, where masks or more constants would be in the way. What five lanes compute
//! on then fits into the registers of the processor, and nearly all of six.
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
const SECOND: u32 = 16 | 8 << 8;

impl Round for Bextr {
    const WRITTEN_OUT: bool = true;

    #[inline(always)]
    fn round<const LANE: usize>(self, boxes: &Boxes, x: u32, mut r: u32) -> u32 {
        const { assert!(LANE < MAX_LANES && size_of::<Boxes>() == MAX_LANES * 4096) };
        // SAFETY:
        // - Instructions: `bextr` exists, since a `Bextr` is made by `detect` alone.
        // - Memory: each of the four loads reads 4 bytes at `boxes + 4096 * LANE + 1024 * n + 4 * i` with n < 4 and
        //   i < 256: `shr` by 24, `bextr` of 8 bits and `movzx` of a byte clear all higher bits of the 64-bit register.
        //   The greatest address read is the last word of lane `LANE`, inside `boxes` by the assertion above, and
        //   aligned as the words are. Nothing is written to memory, so the shared reference holds.
        // - The block uses no stack. Flags are changed and declared so, by not being declared preserved.
        // - `pure` and `readonly`: the result follows from the operands and `boxes` alone.
        unsafe {
            asm!(
                "mov {a:e}, {x:e}",
                "shr {a:e}, 24",
                "bextr {b:e}, {x:e}, {second:e}",
                "mov {a:e}, dword ptr [{boxes} + {a}*4 + {lane}]",
                "add {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 1024]",
                "mov {b:e}, {x:e}",
                "movzx {b:e}, {b:h}",
                "xor {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 2048]",
                "movzx {b:e}, {x:l}",
                "add {a:e}, dword ptr [{boxes} + {b}*4 + {lane} + 3072]",
                "xor {r:e}, {a:e}",
                a = out(reg) _,
                b = out(reg_abcd) _,
                r = inout(reg) r,
                x = in(reg) x,
                boxes = in(reg) boxes,
                second = in(reg) SECOND,
                lane = const LANE * 4096,
                options(pure, readonly, nostack),
            );
        }
        r
    }
}
