//! What one core makes with lanes and without, in one run: medians of thread CPU time, and ratios to the `bcrypt` crate.
//!
//! `cargo bench -p countersign-bcrypt-lanes --bench throughput`

use std::hint::black_box;

use countersign_bcrypt_lanes::{Code, Job, Lanes, MAX_LANES};
use rustix::time::{ClockId, clock_gettime};

/// With any other cost, say `BCRYPT_LANES_COST=8`, a run is shorter and the ratios are nearly the same.
const COST: u32 = 12;
const ROUNDS: usize = 7;
const KEY: &[u8] = b"correct horse battery staple\0";

fn main() {
    let cost = std::env::var("BCRYPT_LANES_COST").map_or(COST, |cost| cost.parse().unwrap());
    let mut lines: Vec<(String, Box<dyn Fn() -> f64>)> = vec![(
        "bcrypt crate".into(),
        Box::new(move || {
            timed(1, || {
                black_box(bcrypt::bcrypt(cost, [7; 16], black_box(KEY)));
            })
        }),
    )];
    for lanes in 1..=MAX_LANES {
        if Lanes::<()>::new(lanes).code() == Code::Bextr {
            let run = move || batch(&mut Lanes::new(lanes), lanes, cost);
            lines.push((format!("bextr, {lanes} lanes"), Box::new(run)));
        }
        let run = move || batch(&mut Lanes::portable(lanes), lanes, cost);
        lines.push((format!("portable, {lanes} lanes"), Box::new(run)));
    }
    // In turn, so that what else the machine does hits all of them alike.
    let mut times = vec![Vec::new(); lines.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in lines.iter().zip(&mut times) {
            times.push(run());
        }
    }
    let reference = median(&mut times[0]);
    println!("cost {cost}, {ROUNDS} rounds, thread CPU time");
    println!(
        "{:20} {:>22} {:>10} {:>12} {:>12}",
        "", "ms per hash (min-max)", "per second", "x the crate", "batch, ms"
    );
    for (line, ((name, _), times)) in lines.iter().zip(&mut times).enumerate() {
        let each = median(times);
        let lanes = if line == 0 {
            1.
        } else {
            name.split(' ').nth(1).unwrap().parse().unwrap()
        };
        println!(
            "{name:20} {:>8.2} ({:.2}-{:.2}) {:>8.1} {:>12.2} {:>12.1}",
            each * 1e3,
            times[0] * 1e3,
            times[times.len() - 1] * 1e3,
            1. / each,
            reference / each,
            each * 1e3 * lanes
        );
    }
}

/// Seconds of CPU for each hash of a full batch.
fn batch(lanes: &mut Lanes<()>, hashes: usize, cost: u32) -> f64 {
    timed(hashes, || {
        for number in 0..hashes {
            let job = Job::new(cost, [number as u8; 16], black_box(KEY)).unwrap();
            lanes.start(&job, ()).unwrap();
        }
        while !lanes.is_empty() {
            lanes.step();
            while let Some(finished) = lanes.take_finished() {
                black_box(finished);
            }
        }
    })
}

fn timed(hashes: usize, run: impl FnOnce()) -> f64 {
    let start = cpu();
    run();
    (cpu() - start) / hashes as f64
}

/// CPU time of this thread: other processes on the machine do not count.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
