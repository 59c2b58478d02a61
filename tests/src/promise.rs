//! What the documentation promises between instances, and between a command and a running server.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const PROMISED: Duration = Duration::from_secs(1);

/// Asks until `done` says yes; panics if that takes longer than what is promised.
pub async fn within_a_second(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !done().await {
        assert!(began.elapsed() < PROMISED, "{what} took over {PROMISED:?}");
        sleep(Duration::from_millis(5)).await;
    }
    println!("{what}: {:?}", began.elapsed());
}
