//! Failed sign-ins of different kinds, taken in turns, and whether their times can be told apart.

use std::hash::{BuildHasher, Hasher, RandomState};

use anyhow::Result;
use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::connection::Connection;
use crate::server::Server;
use crate::statistics::{Comparison, mean, median};
use crate::work::{PASSWORD, new_email};

/// Rounds before those that count.
const WARM_UP: usize = 20;
/// Accounts of each kind, so that no kind stands for what one row of the database happens to cost.
const ACCOUNTS: usize = 8;
/// Bytes; one more than any password may have.
const LONGEST: usize = 1_025;
/// The chance of a false alarm that a whole run is allowed.
const FALSE_ALARM: f64 = 0.05;

/// Whom a sign-in is for, and with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    /// The same once more: what the machine's noise alone makes of two samples.
    UnknownAgain,
    Wrong,
    Disabled,
    TooLong,
    UnknownTooLong,
}

const KINDS: [Kind; 6] = [
    Kind::Unknown,
    Kind::UnknownAgain,
    Kind::Wrong,
    Kind::Disabled,
    Kind::TooLong,
    Kind::UnknownTooLong,
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Unknown => "unknown user",
            Kind::UnknownAgain => "unknown user, again",
            Kind::Wrong => "wrong password",
            Kind::Disabled => "disabled user",
            Kind::TooLong => "over-long password",
            Kind::UnknownTooLong => "unknown user, over-long password",
        }
    }

    fn password(self) -> String {
        match self {
            Kind::TooLong | Kind::UnknownTooLong => "x".repeat(LONGEST),
            _ => "a wrong password".to_owned(),
        }
    }
}

/// All are equally long, since how long a request is says nothing about who exists. The server does not
/// look at members that it does not know.
fn body(email: &str, kind: Kind) -> Value {
    let password = kind.password();
    let filling = "x".repeat(LONGEST - password.len());
    json!({"email": email, "password": password, "filling": filling})
}

/// Measures so many sign-ins of each kind, and prints what they say.
pub(crate) async fn run(server: &Server, each: usize) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    let mut bodies = Vec::new();
    for kind in KINDS {
        let mut of_kind = Vec::new();
        for _ in 0..ACCOUNTS {
            let email = new_email();
            if matches!(kind, Kind::Wrong | Kind::Disabled | Kind::TooLong) {
                let body = json!({"email": email, "password": PASSWORD});
                let path = "/auth/register";
                connection.post(path, &body, &[StatusCode::CREATED]).await?;
            }
            if kind == Kind::Disabled {
                server.command(&["user", "disable", &email])?;
            }
            of_kind.push(body(&email, kind));
        }
        bodies.push(of_kind);
    }
    let mut samples = vec![Vec::with_capacity(each); KINDS.len()];
    for round in 0..WARM_UP + each {
        for kind in shuffled() {
            let body = &bodies[kind][round % ACCOUNTS];
            let began = Instant::now();
            let refused = [StatusCode::UNAUTHORIZED];
            connection.post("/auth/login", body, &refused).await?;
            let took = began.elapsed();
            if round >= WARM_UP {
                samples[kind].push(took.as_secs_f64() * 1e6);
            }
        }
    }
    print(&samples);
    Ok(())
}

/// The kinds in an order that changes each round: none always comes after the same one.
fn shuffled() -> [usize; KINDS.len()] {
    let mut order = std::array::from_fn(|kind| kind);
    let mut random = RandomState::new().build_hasher().finish() as usize;
    for last in (1..order.len()).rev() {
        order.swap(last, random % (last + 1));
        random /= last + 1;
    }
    order
}

fn print(samples: &[Vec<f64>]) {
    println!("| sign-in | count | median µs | mean µs |\n| --- | --: | --: | --: |");
    for (kind, sample) in KINDS.iter().zip(samples) {
        let (middle, mean) = (median(sample), mean(sample));
        println!(
            "| {} | {} | {middle:.1} | {mean:.1} |",
            kind.name(),
            sample.len()
        );
    }
    println!(
        "\n| pair | medians apart, µs | Welch t (p) | Mann-Whitney z (p) | Kolmogorov-Smirnov D (p) |"
    );
    println!("| --- | --: | --: | --: | --: |");
    let mut least: f64 = 1.0;
    let mut tests = 0.0;
    for (a, kind) in KINDS.iter().enumerate() {
        for (b, other) in KINDS.iter().enumerate().skip(a + 1) {
            let pair = Comparison::of(&samples[a], &samples[b]);
            least = least.min(pair.least_p());
            tests += 3.0;
            println!(
                "| {} / {} | {:+.1} | {:+.2} ({:.3}) | {:+.2} ({:.3}) | {:.3} ({:.3}) |",
                kind.name(),
                other.name(),
                median(&samples[b]) - median(&samples[a]),
                pair.t,
                pair.t_p,
                pair.u_z,
                pair.u_p,
                pair.d,
                pair.d_p,
            );
        }
    }
    let bound = FALSE_ALARM / tests;
    let verdict = match least < bound {
        true => "told apart",
        false => "not told apart",
    };
    println!(
        "\nleast p of {tests} tests: {least:.4}; with a bound of {bound:.4} (5 % in all, after Bonferroni): {verdict}\n"
    );
}
