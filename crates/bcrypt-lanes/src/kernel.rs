//! The key schedule of Blowfish, for several lanes in one stream of instructions.
//!
//! One bcrypt is a chain: each round needs four table entries that the round before has chosen, so a core waits most
//! of its time. The rounds of different lanes need nothing of each other. They follow each other in the program here,
//! and the core overlaps them.

#![allow(
    clippy::indexing_slicing,
    reason = "indexes are lanes, boxes and positions below the fixed size of what they index, known when this is compiled"
)]

use crate::state::{Boxes, State, Subkeys};

/// The most lanes that one state holds. Beyond six little is gained: a core's ports are busy.
pub(crate) const MAX_LANES: usize = 6;

/// How one round is computed.
pub(crate) trait Round: Copy {
    /// Whether the 16 rounds of a block are written out, which leaves a register free that would count them.
    const WRITTEN_OUT: bool;

    /// `r` XOR F(`x`), where F looks `x` up in the boxes of lane `LANE`.
    fn round<const LANE: usize>(self, boxes: &Boxes, x: u32, r: u32) -> u32;
}

/// Runs the body for lanes 0 to `N` - 1, written out, with the lane as a constant.
macro_rules! each_lane {
    ($n:ident, $lane:ident => $body:expr) => {
        each_lane!(@ $n, $lane, $body, 0 1 2 3 4 5)
    };
    (@ $n:ident, $lane:ident, $body:expr, $($number:literal)*) => {
        $(if $number < $n {
            const $lane: usize = $number;
            $body;
        })*
    };
}

/// Both halves of one block of each lane.
struct Blocks {
    l: [u32; MAX_LANES],
    r: [u32; MAX_LANES],
}

/// One cost iteration of lanes 0 to `N` - 1: the key schedule with the key, then with the salt.
#[inline(always)]
pub(crate) fn iterate<R: Round, const N: usize>(round: R, state: &mut State) {
    for position in 0..state.subkeys.len() {
        each_lane!(N, LANE => state.subkeys[position][LANE] ^= state.keys[LANE][position]);
    }
    expand::<R, N>(round, state);
    for position in 0..state.subkeys.len() {
        each_lane!(N, LANE => state.subkeys[position][LANE] ^= state.salts[LANE][position % 4]);
    }
    expand::<R, N>(round, state);
}

/// Replaces all subkeys and boxes with the blocks that they themselves encrypt. Not inlined: it is long, and used twice.
#[inline(never)]
fn expand<R: Round, const N: usize>(round: R, state: &mut State) {
    let State { boxes, subkeys, .. } = state;
    let mut blocks = Blocks {
        l: [0; MAX_LANES],
        r: [0; MAX_LANES],
    };
    for pair in 0..subkeys.len() / 2 {
        encrypt::<R, N>(round, boxes, subkeys, &mut blocks);
        each_lane!(N, LANE => {
            subkeys[2 * pair][LANE] = blocks.l[LANE];
            subkeys[2 * pair + 1][LANE] = blocks.r[LANE]
        });
    }
    for number in 0..4 {
        for pair in 0..128 {
            encrypt::<R, N>(round, boxes, subkeys, &mut blocks);
            each_lane!(N, LANE => {
                boxes.0[LANE][number][2 * pair] = blocks.l[LANE];
                boxes.0[LANE][number][2 * pair + 1] = blocks.r[LANE]
            });
        }
    }
}

/// Encrypts one block of each lane. The subkey goes into the other half before F's result is there, which takes it off
/// the chain that everything waits for.
#[inline(always)]
fn encrypt<R: Round, const N: usize>(
    round: R,
    boxes: &Boxes,
    subkeys: &Subkeys,
    blocks: &mut Blocks,
) {
    let Blocks { l, r } = blocks;
    each_lane!(N, LANE => l[LANE] ^= subkeys[0][LANE]);
    macro_rules! two_rounds {
        ($($pair:expr),*) => {$(
            each_lane!(N, LANE => {
                r[LANE] = round.round::<LANE>(boxes, l[LANE], r[LANE] ^ subkeys[2 * $pair + 1][LANE])
            });
            each_lane!(N, LANE => {
                l[LANE] = round.round::<LANE>(boxes, r[LANE], l[LANE] ^ subkeys[2 * $pair + 2][LANE])
            });
        )*};
    }
    if R::WRITTEN_OUT {
        two_rounds!(0, 1, 2, 3, 4, 5, 6, 7);
    } else {
        for pair in 0..8 {
            two_rounds!(pair);
        }
    }
    each_lane!(N, LANE => {
        let last = r[LANE] ^ subkeys[17][LANE];
        r[LANE] = l[LANE];
        l[LANE] = last
    });
}

/// The first key schedule of a hash, in one lane, with the salt mixed into every block.
pub(crate) fn begin(state: &mut State, lane: usize) {
    let salt = state.salts[lane];
    let mut halves = salt.as_chunks::<2>().0.iter().cycle();
    let mut block = [0; 2];
    let mut next = |state: &State| {
        for (half, salt) in block.iter_mut().zip(halves.next().unwrap_or(&[0; 2])) {
            *half ^= salt;
        }
        block = encrypt_one(state, lane, block);
        block
    };
    for pair in 0..state.subkeys.len() / 2 {
        let [l, r] = next(state);
        state.subkeys[2 * pair][lane] = l;
        state.subkeys[2 * pair + 1][lane] = r;
    }
    for number in 0..4 {
        for pair in 0..128 {
            let [l, r] = next(state);
            state.boxes.0[lane][number][2 * pair] = l;
            state.boxes.0[lane][number][2 * pair + 1] = r;
        }
    }
}

/// Encrypts one block of one lane, for what is done once for each hash and need not be fast.
pub(crate) fn encrypt_one(state: &State, lane: usize, [mut l, mut r]: [u32; 2]) -> [u32; 2] {
    let [a, b, c, d] = &state.boxes.0[lane];
    let f = |x: u32| {
        let [first, second, third, fourth] = x.to_be_bytes().map(usize::from);
        (a[first].wrapping_add(b[second]) ^ c[third]).wrapping_add(d[fourth])
    };
    l ^= state.subkeys[0][lane];
    for pair in 0..8 {
        r ^= f(l) ^ state.subkeys[2 * pair + 1][lane];
        l ^= f(r) ^ state.subkeys[2 * pair + 2][lane];
    }
    [r ^ state.subkeys[17][lane], l]
}
