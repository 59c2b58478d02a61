//! A compiler that packs the lanes into vector registers, or keeps them waiting for each other, is noticed here.
//!
//! Also to be run as the processor at hand would like it: `scripts/bench-lanes`.

use std::hint::black_box;

use countersign_bcrypt_lanes::{Job, Lanes};
use rustix::time::{ClockId, clock_gettime};

const COST: u32 = 8;
/// Measured in four and in six: 4.5 and 5.5 with `bextr`, 3.7 and 4.1 in portable code; packed into vectors it was 1.2.
const LEAST: f64 = 2.5;

/// CPU time of this thread, and the best of many, so that a busy machine does not fail it.
#[test]
fn lanes_are_much_faster_than_the_crate() {
    let mut lanes =
        [4, 6].map(|count| [(count, Lanes::new(count)), (count, Lanes::portable(count))]);
    let lanes = lanes.as_flattened_mut();
    let mut crate_alone = f64::INFINITY;
    let mut best = [f64::INFINITY; 4];
    for _ in 0..40 {
        crate_alone = crate_alone.min(timed(|| {
            black_box(bcrypt::bcrypt(COST, [7; 16], black_box(b"correct horse\0")));
        }));
        for ((count, lanes), best) in lanes.iter_mut().zip(&mut best) {
            *best = best.min(timed(|| batch(lanes, *count)));
        }
    }
    for ((count, lanes), best) in lanes.iter().zip(best) {
        let ratio = *count as f64 * crate_alone / best;
        let line = format!(
            "{:?}, {count} lanes: {ratio:.2} times the crate",
            lanes.code()
        );
        println!("{line}");
        assert!(ratio >= LEAST, "only {line}");
    }
}

fn batch(lanes: &mut Lanes<()>, hashes: usize) {
    for number in 0..hashes {
        let job = Job::new(COST, [number as u8; 16], black_box(b"correct horse\0"));
        lanes.start(&job.unwrap(), ()).unwrap();
    }
    while !lanes.is_empty() {
        lanes.step();
        while let Some(finished) = lanes.take_finished() {
            black_box(finished);
        }
    }
}

fn timed(run: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let start = now();
    run();
    now() - start
}
