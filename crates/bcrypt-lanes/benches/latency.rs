//! How long sign-ins that arrive at random wait for their hash on one core: lanes that are refilled, and the `bcrypt`
//! crate one by one. The clock is the CPU time of this thread, which leaps over what is idle: other processes on the
//! machine do not count.
//!
//! Each line is of a minute of arrivals. `BCRYPT_LANES_SECONDS=960 BCRYPT_LANES_COST=8` takes as long and has 16 times
//! as many sign-ins: hashes, and the times between arrivals, are then that much shorter, and printed as of cost 12.
//!
//! `cargo bench -p countersign-bcrypt-lanes --bench latency`

use std::collections::VecDeque;
use std::fmt::Debug;
use std::hint::black_box;
use std::str::FromStr;

use countersign_bcrypt_lanes::{Job, Lanes};
use rustix::time::{ClockId, clock_gettime};

const COST: u32 = 12;
const SECONDS: f64 = 60.;
const LANES: [usize; 2] = [4, 6];
const KEY: &[u8] = b"correct horse battery staple\0";
const PER_SECOND: [f64; 7] = [1., 4., 8., 12., 15., 16., 19.];
/// Beyond this load the crate's queue grows for as long as it is fed.
const CRATE_SATURATED: f64 = 4.5;

fn main() {
    let cost = variable("BCRYPT_LANES_COST", COST);
    let seconds = variable("BCRYPT_LANES_SECONDS", SECONDS);
    println!(
        "cost {COST}, Poisson arrivals on one core for {seconds} seconds each line; milliseconds"
    );
    if cost != COST {
        println!(
            "computed at cost {cost}, all times scaled by {}",
            scale(cost)
        );
    }
    println!(
        "{:>14} {:>18} {:>18} {:>18}",
        "sign-ins / s", "crate p50 / p99", "4 lanes p50 / p99", "6 lanes p50 / p99"
    );
    for per_second in PER_SECOND {
        let arrivals: Vec<f64> = arrivals(per_second, seconds)
            .map(|moment| moment / scale(cost))
            .collect();
        let one_by_one = if per_second < CRATE_SATURATED {
            quantiles(one_by_one(cost, &arrivals), cost)
        } else {
            "saturated".into()
        };
        let [four, six] = LANES.map(|lanes| quantiles(in_lanes(lanes, cost, &arrivals), cost));
        println!("{per_second:>14} {one_by_one:>18} {four:>18} {six:>18}");
    }
}

fn variable<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// How much longer a hash of cost 12 takes.
fn scale(cost: u32) -> f64 {
    2_f64.powi(COST as i32 - cost as i32)
}

/// Moments in seconds, the same on every run.
fn arrivals(per_second: f64, seconds: f64) -> impl Iterator<Item = f64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut now = 0.;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let uniform = (state >> 11) as f64 / (1_u64 << 53) as f64;
        now -= (1. - uniform).ln() / per_second;
        Some(now)
    };
    std::iter::from_fn(next).take_while(move |moment| *moment < seconds)
}

fn one_by_one(cost: u32, arrivals: &[f64]) -> Vec<f64> {
    let mut clock = Clock::new();
    let latency = |arrival: &f64| {
        clock.leap_to(*arrival);
        black_box(bcrypt::bcrypt(cost, [7; 16], black_box(KEY)));
        clock.now() - arrival
    };
    arrivals.iter().map(latency).collect()
}

fn in_lanes(lanes: usize, cost: u32, arrivals: &[f64]) -> Vec<f64> {
    let mut clock = Clock::new();
    let mut lanes = Lanes::new(lanes);
    let mut waiting: VecDeque<f64> = arrivals.iter().copied().collect();
    let mut latencies = Vec::new();
    loop {
        while !lanes.is_full()
            && waiting
                .front()
                .is_some_and(|arrival| *arrival <= clock.now())
        {
            let arrival = waiting.pop_front().unwrap();
            lanes
                .start(&Job::new(cost, [7; 16], KEY).unwrap(), arrival)
                .unwrap();
        }
        if lanes.is_empty() {
            match waiting.front() {
                Some(arrival) => clock.leap_to(*arrival),
                None => return latencies,
            }
        }
        lanes.step();
        while let Some((arrival, digest)) = lanes.take_finished() {
            black_box(digest);
            latencies.push(clock.now() - arrival);
        }
    }
}

struct Clock {
    began: f64,
    leapt: f64,
}

impl Clock {
    fn new() -> Self {
        Self {
            began: cpu(),
            leapt: 0.,
        }
    }

    fn now(&self) -> f64 {
        cpu() - self.began + self.leapt
    }

    /// Nothing happens until that moment.
    fn leap_to(&mut self, moment: f64) {
        self.leapt += (moment - self.now()).max(0.);
    }
}

fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn quantiles(mut latencies: Vec<f64>, cost: u32) -> String {
    latencies.sort_by(f64::total_cmp);
    let at = |quantile: f64| {
        let position = (latencies.len() - 1) as f64 * quantile;
        latencies[position.round() as usize] * 1e3 * scale(cost)
    };
    format!("{:.0} / {:.0}", at(0.5), at(0.99))
}
