#![no_main]

use arbitrary::Arbitrary;
use countersign_bcrypt_lanes::{Digest, Job, Lanes};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    lanes: u8,
    portable: bool,
    jobs: Vec<Candidate>,
}

#[derive(Arbitrary, Debug)]
struct Candidate {
    cost: u8,
    salt: [u8; 16],
    key: Vec<u8>,
    /// Iterations of the others before this one may begin.
    pause: u8,
}

// Each digest is that of the `bcrypt` crate, and what is no job is refused.
fuzz_target!(|input: Input| {
    let count = usize::from(input.lanes % 7);
    let mut lanes = match input.portable {
        true => Lanes::portable(count),
        false => Lanes::new(count),
    };
    for candidate in input.jobs.iter().take(16) {
        let Candidate { salt, key, pause, .. } = candidate;
        let cost = 4 + u32::from(candidate.cost % 3);
        let Ok(job) = Job::new(cost, *salt, key) else {
            assert!(key.is_empty() || key.len() > 72);
            continue;
        };
        let expected = bcrypt::bcrypt(cost, *salt, key);
        for _ in 0..*pause {
            step(&mut lanes);
        }
        while lanes.is_full() {
            step(&mut lanes);
        }
        lanes.start(&job, expected).expect("a free lane");
    }
    while !lanes.is_empty() {
        step(&mut lanes);
    }
});

fn step(lanes: &mut Lanes<Digest>) {
    lanes.step();
    while let Some((expected, digest)) = lanes.take_finished() {
        assert_eq!(digest, expected);
    }
}
