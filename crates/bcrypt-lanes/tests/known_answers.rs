//! Published answers, and those of another implementation.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::engine::{Engine, GeneralPurposeConfig};
use countersign_bcrypt_lanes::{Job, Lanes, MAX_LANES};

/// The alphabet of bcrypt strings.
const BASE_64: GeneralPurpose = GeneralPurpose::new(&alphabet::BCRYPT, LENIENT);
/// A published salt may end with bits that say nothing.
const LENIENT: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// From the tests of crypt_blowfish (Solar Designer) and jBCrypt (Damien Miller).
const PUBLISHED: [(&[u8], &str); 13] = [
    (b"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
    (b"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK"),
    (b"U*U*U", "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
    (
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored",
        "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui",
    ),
    (b"\xff\xff\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"),
    (b"\xff\xff\xa3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.CE5elHaaO4EbggVDjb8P19RukzXSM3e"),
    (b"\xa3", "$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
    (b"\xa3", "$2b$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
    (b"\xa3", "$2a$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"),
    (b"", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy"),
    (b"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
    (b"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
    (b"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
];

#[test]
fn published_answers() {
    check(
        PUBLISHED
            .map(|(password, hash)| (password.to_vec(), hash))
            .to_vec(),
    );
}

/// Made by `scripts/libxcrypt-vectors.py`.
#[test]
fn answers_of_libxcrypt() {
    let lines = include_str!("data/libxcrypt.txt").lines();
    let cases: Vec<_> = lines
        .map(|line| {
            let (password, hash) = line.split_once(' ').unwrap();
            let bytes = password.trim_matches('-').as_bytes().chunks(2);
            let bytes =
                bytes.map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 16).unwrap());
            (bytes.collect(), hash)
        })
        .collect();
    assert_eq!(cases.len(), 243);
    check(cases);
}

/// On full lanes of either code.
fn check(cases: Vec<(Vec<u8>, &str)>) {
    for mut lanes in [Lanes::new(MAX_LANES), Lanes::portable(MAX_LANES)] {
        let mut waiting = cases.iter();
        loop {
            while !lanes.is_full() {
                let Some((password, hash)) = waiting.next() else {
                    break;
                };
                lanes.start(&job(password, hash), *hash).unwrap();
            }
            if lanes.is_empty() {
                break;
            }
            lanes.step();
            while let Some((hash, digest)) = lanes.take_finished() {
                assert_eq!(
                    BASE_64.encode(&digest[..23]),
                    hash[29..],
                    "{:?} {hash}",
                    lanes.code()
                );
            }
        }
    }
}

fn job(password: &[u8], hash: &str) -> Job {
    let salt = BASE_64.decode(&hash[7..29]).unwrap().try_into().unwrap();
    let mut key = password.to_vec();
    key.push(0);
    key.truncate(72);
    Job::new(hash[4..6].parse().unwrap(), salt, &key).unwrap()
}
