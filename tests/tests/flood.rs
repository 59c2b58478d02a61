//! More sign-ins than the machine can hash: who is signed in already does not notice.

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_tests::{Backend, Setup, on_each_backend};
use tokio::time::Instant;

const PASSWORD: &str = "correct horse battery";

on_each_backend!(a_flood_of_sign_ins_is_bounded_and_hurts_nobody_else);

async fn a_flood_of_sign_ins_is_bounded_and_hurts_nobody_else(backend: Backend) {
    // At this cost one worker makes some twenty hashes a second, so most of 200 cannot be had within the queue's time.
    let setup = Setup::new(backend)
        .set("BCRYPT_ROUNDS", "12")
        .set("HASH_WORKERS", "1");
    let server = setup.set("HASH_QUEUE_SECONDS", "2").start().await;
    let api = server.api();
    let mut session = api.new_session("ada@example.com", PASSWORD).await;
    let began = Instant::now();
    let flood: Vec<_> = (0..200)
        .map(|i| {
            let api = api.clone();
            // Known and unknown users, right and wrong passwords: all cost the same.
            let (email, password) = [
                ("ada@example.com", PASSWORD),
                ("ada@example.com", "wrong"),
                ("nobody@example.com", PASSWORD),
            ][i % 3];
            tokio::spawn(async move {
                let answer = api.login(email, password).await;
                if answer.status == 503 {
                    answer.expect_problem(503, "overloaded");
                    assert!(
                        answer.header("retry-after").parse::<u64>().is_ok(),
                        "{:?}",
                        answer.headers
                    );
                }
                answer.status
            })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        let asked = Instant::now();
        api.me(&session.access).await.expect(200);
        session = api.refresh(&session.refresh).await.tokens();
        slowest = slowest.max(asked.elapsed());
    }
    let mut statuses = BTreeMap::new();
    for login in flood {
        *statuses
            .entry(login.await.expect("a whole answer"))
            .or_insert(0) += 1;
    }
    println!(
        "answers: {statuses:?} in {:?}; the slowest of the others took {slowest:?}",
        began.elapsed()
    );
    assert!(
        statuses
            .keys()
            .all(|status| [200, 401, 503].contains(status)),
        "{statuses:?}"
    );
    assert!(
        statuses.contains_key(&503),
        "nothing was refused: {statuses:?}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    // Milliseconds on an idle machine; waiting behind the hashes would take seconds.
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    api.login("ada@example.com", PASSWORD).await.expect(200);
}
