//! The check of a new password against the list of common ones, which every registration and password change pays.

use std::hint::black_box;

use countersign_domain::password::is_common;
use criterion::{Criterion, criterion_group, criterion_main};

const LIST: &str = include_str!("../data/common-passwords.txt");

fn common_password(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("common password");
    let long = "x".repeat(1_024);
    for (name, candidate) in [
        ("listed", "password123"),
        ("listed, mixed case", "PassWord123"),
        ("not listed", "correct horse battery staple"),
        ("not listed, 1,024 bytes", long.as_str()),
        ("not listed, not ASCII", "Grüße aus Köln"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| is_common(black_box(candidate)));
        });
    }
    // One entry again and again would be found by branch prediction; this is the mean over all of them, strewn.
    let lines: Vec<_> = LIST.lines().collect();
    let mut strewn = (0..).map(|step| lines[(step * 7_919) % lines.len()]);
    group.bench_function("every entry in turn", |bencher| {
        bencher.iter(|| strewn.next().map(|line| is_common(black_box(line))));
    });
    group.finish();
}

criterion_group!(benches, common_password);
criterion_main!(benches);
