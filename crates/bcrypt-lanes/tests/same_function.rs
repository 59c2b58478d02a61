//! Whatever stands in the other lanes, and whenever a lane is filled, each digest is that of the `bcrypt` crate.

use std::collections::VecDeque;

use countersign_bcrypt_lanes::{Digest, Job, JobIssue, Lanes};

/// A case and the crate's answer to it.
struct Case {
    cost: u32,
    salt: [u8; 16],
    key: Vec<u8>,
}

impl Case {
    /// All lengths, and all values of a byte; most cases of the lowest cost.
    fn random(random: &mut Random) -> Self {
        let cost = match random.below(100) {
            0..80 => 4,
            80..90 => 5,
            90..96 => 6,
            96..99 => 7,
            _ => 8,
        };
        Self::of_cost(cost, random)
    }

    /// The password, of 0 to 72 bytes, and its NUL byte as far as there is room.
    fn of_cost(cost: u32, random: &mut Random) -> Self {
        let mut key: Vec<u8> = (0..random.below(73)).map(|_| random.byte()).collect();
        key.push(0);
        key.truncate(72);
        let salt = std::array::from_fn(|_| random.byte());
        Self { cost, salt, key }
    }

    fn job(&self) -> Job {
        Job::new(self.cost, self.salt, &self.key).unwrap()
    }

    fn expected(&self) -> Digest {
        bcrypt::bcrypt(self.cost, self.salt, &self.key)
    }
}

/// SplitMix64: the same cases on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn byte(&mut self) -> u8 {
        self.next() as u8
    }
}

/// Computes the cases, filling lanes at random moments, and gives the digests in the order of the cases.
fn compute(mut lanes: Lanes<usize>, cases: &[Case], random: &mut Random) -> Vec<Digest> {
    let mut waiting: VecDeque<usize> = (0..cases.len()).collect();
    let mut digests = vec![[0; 24]; cases.len()];
    while !(waiting.is_empty() && lanes.is_empty()) {
        while !lanes.is_full() && random.below(4) != 0 {
            let Some(number) = waiting.pop_front() else {
                break;
            };
            lanes.start(&cases[number].job(), number).unwrap();
        }
        lanes.step();
        while let Some((number, digest)) = lanes.take_finished() {
            digests[number] = digest;
        }
    }
    digests
}

fn compare(lanes: usize, cases: &[Case], random: &mut Random) {
    let expected: Vec<_> = cases.iter().map(Case::expected).collect();
    for lanes in [Lanes::new(lanes), Lanes::portable(lanes)] {
        let code = lanes.code();
        let digests = compute(lanes, cases, random);
        for ((digest, expected), case) in digests.iter().zip(&expected).zip(cases) {
            let Case { cost, salt, key } = case;
            assert_eq!(
                digest, expected,
                "{code:?}, cost {cost}, salt {salt:?}, key {key:?}"
            );
        }
    }
}

fn random_cases(lanes: usize) {
    let mut random = Random(lanes as u64);
    let cases: Vec<_> = (0..1_700).map(|_| Case::random(&mut random)).collect();
    compare(lanes, &cases, &mut random);
}

/// One test for each number of lanes, since they run side by side: 10,200 cases in all.
macro_rules! random_cases {
    ($($name:ident: $lanes:literal,)*) => {
        $(#[test]
        fn $name() {
            random_cases($lanes);
        })*
    };
}

random_cases! {
    random_cases_in_1_lane: 1,
    random_cases_in_2_lanes: 2,
    random_cases_in_3_lanes: 3,
    random_cases_in_4_lanes: 4,
    random_cases_in_5_lanes: 5,
    random_cases_in_6_lanes: 6,
}

#[test]
#[ignore = "minutes: cargo test --release -p countersign-bcrypt-lanes -- --ignored"]
fn random_cases_of_cost_12() {
    let mut random = Random(12);
    let cases: Vec<_> = (0..200).map(|_| Case::of_cost(12, &mut random)).collect();
    compare(4, &cases, &mut random);
}

/// As many steps as bcrypt has iterations, whatever is hashed.
#[test]
fn the_work_does_not_depend_on_the_password() {
    let keys: [&[u8]; 6] = [
        &[0],
        b"a\0",
        &[0; 72],
        &[255; 72],
        b"correct horse battery\0",
        &[7; 71],
    ];
    for key in keys {
        for cost in [4, 5, 8] {
            let mut lanes = Lanes::new(4);
            lanes
                .start(&Job::new(cost, [1; 16], key).unwrap(), ())
                .unwrap();
            let mut steps = 0;
            while lanes.take_finished().is_none() {
                lanes.step();
                steps += 1;
            }
            assert_eq!(steps, 1 << cost);
        }
    }
}

#[test]
fn what_is_no_job_is_refused() {
    let refused = |cost, key: &[u8]| Job::new(cost, [0; 16], key).map(drop);
    assert_eq!(refused(3, &[0]), Err(JobIssue::Cost));
    assert_eq!(refused(32, &[0]), Err(JobIssue::Cost));
    assert_eq!(refused(4, &[]), Err(JobIssue::Key));
    assert_eq!(refused(4, &[1; 73]), Err(JobIssue::Key));
    assert_eq!(refused(31, &[1; 72]), Ok(()));
}

#[test]
fn full_lanes_give_the_ticket_back() {
    let job = Job::new(4, [0; 16], b"a\0").unwrap();
    let mut lanes = Lanes::new(2);
    assert_eq!(lanes.start(&job, "first"), Ok(()));
    assert_eq!(lanes.start(&job, "second"), Ok(()));
    assert_eq!(lanes.start(&job, "third"), Err("third"));
    assert!(lanes.is_full() && lanes.filled() == 2);
    assert_eq!(lanes.take_finished(), None);
}

/// Steps past the end of a job that nobody took would spoil its digest.
#[test]
fn a_finished_lane_waits_to_be_taken() {
    let case = Case {
        cost: 4,
        salt: [3; 16],
        key: b"a\0".to_vec(),
    };
    let mut lanes = Lanes::new(2);
    lanes.start(&case.job(), 1).unwrap();
    for _ in 0..10 {
        lanes.step();
    }
    lanes.start(&case.job(), 2).unwrap();
    for _ in 0..100 {
        lanes.step();
    }
    assert_eq!(lanes.take_finished(), Some((1, case.expected())));
    assert_eq!(lanes.take_finished(), None);
    for _ in 0..100 {
        lanes.step();
    }
    assert_eq!(lanes.take_finished(), Some((2, case.expected())));
    assert!(lanes.is_empty());
}
