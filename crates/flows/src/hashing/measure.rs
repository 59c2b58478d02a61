#![allow(clippy::disallowed_methods, reason = "measures how long hashing takes")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign_domain::password::PresentedPassword;
use tokio::sync::oneshot;

use super::PoolSettings;
use super::engine::{Taken, Work};
use super::load::{Load, Turn};

/// How long a sign-in takes on a thread that has nothing else to do.
pub fn time_of_one(settings: &PoolSettings) -> Duration {
    time_of(settings, 1)
}

/// How long this thread takes for as many sign-ins as it has lanes, begun at once.
pub fn time_of_full_lanes(settings: &PoolSettings) -> Duration {
    time_of(settings, settings.lanes.get())
}

fn time_of(settings: &PoolSettings, sign_ins: usize) -> Duration {
    let load = Arc::new(Load::new(settings));
    let mut answers = Vec::new();
    let mut tasks: Vec<_> = (0..sign_ins)
        .map(|_| {
            let (answer, result) = oneshot::channel();
            answers.push(result);
            let work = Work::Check {
                presented: PresentedPassword::new("measured once"),
                stored: None,
                answer,
            };
            Taken {
                work,
                turn: Turn::begin(&load),
            }
        })
        .collect();
    let mut engine = settings.engine();
    let began = Instant::now();
    while let Some(first) = tasks.pop() {
        engine.run(first, &mut || tasks.pop());
    }
    began.elapsed()
}
