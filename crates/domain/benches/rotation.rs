//! What a refresh costs apart from the store: opening the token, deciding, issuing the successor. The MAC of a
//! refresh token is an HMAC-SHA-256 of 22 bytes, and the bare one is the floor of opening and of issuing.
//!
//! `cargo bench -p countersign-domain --bench rotation`

use std::hint::black_box;

use aws_lc_rs::hmac;
use countersign_domain::SessionId;
use countersign_domain::refresh_token::RefreshKey;
use countersign_domain::root_secret::RootSecret;
use countersign_domain::rotation::{RotationPolicy, SessionState, decide};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::{SignedDuration, Timestamp};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn decision(criterion: &mut Criterion) {
    let policy = RotationPolicy {
        grace: SignedDuration::from_secs(30),
        idle: SignedDuration::from_hours(24 * 30),
    };
    let state = SessionState {
        generation: 5,
        rotated_at: at(0),
        idle_expires_at: at(10_000),
        expires_at: at(20_000),
        ended: None,
    };
    let mut group = criterion.benchmark_group("decide");
    for (name, presented, second) in [
        ("rotate", 5, 900),
        ("repeat", 4, 10),
        ("reuse", 3, 10),
        ("expired", 5, 30_000),
    ] {
        let now = at(second);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                decide(
                    black_box(&state),
                    black_box(presented),
                    black_box(now),
                    black_box(&policy),
                )
            });
        });
    }
    group.bench_function("the state after a rotation", |bencher| {
        let now = at(900);
        bencher.iter(|| black_box(&state).rotated(black_box(6), black_box(now), &policy));
    });
    group.finish();
}

fn token(criterion: &mut Criterion) {
    let key = RefreshKey::derive(&RootSecret::new(vec![7; 32]));
    let session = SessionId::new([3; 16]);
    let token = key.issue(session, 5);
    let bare = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let body = [7; 22];

    let mut group = criterion.benchmark_group("refresh token");
    group.bench_function("bare HMAC-SHA-256 of 22 bytes", |bencher| {
        bencher.iter(|| hmac::sign(&bare, black_box(&body)));
    });
    group.bench_function("issue", |bencher| {
        bencher.iter(|| key.issue(black_box(session), black_box(5)));
    });
    group.bench_function("open", |bencher| {
        bencher.iter(|| key.open(black_box(token.expose())));
    });
    let garbage = token.expose().replace("cs_rt_A", "cs_rt_B");
    group.bench_function("refuse a wrong version", |bencher| {
        bencher.iter(|| key.open(black_box(&garbage)));
    });
    let last = token.expose().len() - 1;
    let forged = format!("{}-", &token.expose()[..last]);
    assert_ne!(forged, token.expose());
    group.bench_function("refuse a wrong MAC", |bencher| {
        bencher.iter(|| key.open(black_box(&forged)));
    });
    group.finish();
}

criterion_group!(benches, decision, token);
criterion_main!(benches);
