//! More sign-ins than the machine can hash: who is signed in already does not notice.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use countersign_tests::{Answer, Api, Backend, Server, Setup, on_each_backend};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const PASSWORD: &str = "correct horse battery";

on_each_backend!(
    a_flood_of_sign_ins_is_bounded_and_hurts_nobody_else,
    ten_times_what_can_be_hashed_from_many_addresses,
);

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
    let_in_afterwards(&api).await;
}

/// How long the flood lasts.
const FLOOD: Duration = Duration::from_secs(6);
/// From how many addresses it comes.
const ADDRESSES: u32 = 96;

/// Prints what everybody sees meanwhile. Counts are asserted, times are not: they are the machine's.
async fn ten_times_what_can_be_hashed_from_many_addresses(backend: Backend) {
    let setup = Setup::new(backend).set("BCRYPT_ROUNDS", "12");
    let setup = setup.set("HASH_WORKERS", "2");
    let server = setup.set("HASH_QUEUE_SECONDS", "2").start().await;
    let api = server.api();
    let session = api.new_session("ada@example.com", PASSWORD).await;
    let each = measured(&server).await;
    // Two workers hash four at once each.
    let pause = each / 80;
    let (began, until) = (Instant::now(), Instant::now() + FLOOD);

    let base = server.base().to_owned();
    let flood = tokio::spawn(async move {
        let apis: Vec<Api> = (0..ADDRESSES)
            .map(|n| Api::from_address(&base, Ipv4Addr::from_bits(0x7f01_0001 + 256 * n)))
            .collect();
        let (mut sent, mut number) = (JoinSet::new(), 0);
        while Instant::now() < until {
            let api = apis[number % apis.len()].clone();
            number += 1;
            sent.spawn(timed(
                async move { api.login("ada@example.com", "wrong").await },
            ));
            sleep_until(began + pause * u32::try_from(number).expect("few")).await;
        }
        sent.join_all().await
    });
    let (mut me, mut refreshes, mut refresh_token) = (Vec::new(), Vec::new(), session.refresh);
    while Instant::now() < until {
        me.push(timed(api.me(&session.access)).await);
        let refreshed = timed(api.refresh(&refresh_token)).await;
        refresh_token = refreshed.1.tokens().refresh;
        refreshes.push(refreshed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let logins = flood.await.expect("the flood");
    let offered = logins.len();
    let (admitted, refused): (Vec<_>, Vec<_>) = logins
        .into_iter()
        .partition(|(_, answer)| answer.status == 401);
    for (_, answer) in &refused {
        answer.expect_problem(503, "overloaded");
        let retry: u64 = answer.header("retry-after").parse().expect("seconds");
        // Two seconds of waiting and the hashes under way, which on a busy machine take long.
        assert!(
            (1..=4 + 4 * each.as_secs().max(1)).contains(&retry),
            "{retry}"
        );
    }
    println!(
        "one hash takes {each:?}; {offered} sign-ins offered in {FLOOD:?} from {ADDRESSES} addresses"
    );
    println!("| request | answers | p50 ms | p99 ms |\n| --- | --: | --: | --: |");
    row("/auth/me", &me);
    row("/auth/refresh", &refreshes);
    row("/auth/login, looked at", &admitted);
    row("/auth/login, 503", &refused);
    assert!(
        me.iter()
            .chain(&refreshes)
            .all(|(_, answer)| answer.status == 200)
    );
    // Ten times the capacity was offered; that some was served, and most was not, holds on any machine.
    assert!(!admitted.is_empty(), "nothing was served");
    assert!(
        refused.len() > offered / 2,
        "{} of {offered}",
        refused.len()
    );
    let_in_afterwards(&api).await;
}

/// At once, or when the server said to come back.
async fn let_in_afterwards(api: &Api) {
    for _ in 0..5 {
        let answer = api.login("ada@example.com", PASSWORD).await;
        if answer.status == 200 {
            return;
        }
        answer.expect_problem(503, "overloaded");
        let retry = answer.header("retry-after").parse().expect("seconds");
        tokio::time::sleep(Duration::from_secs(retry)).await;
    }
    panic!("not let in after the flood");
}

async fn timed(answer: impl Future<Output = Answer>) -> (Duration, Answer) {
    let asked = Instant::now();
    let answer = answer.await;
    (asked.elapsed(), answer)
}

fn row(name: &str, answers: &[(Duration, Answer)]) {
    let mut times: Vec<_> = answers
        .iter()
        .map(|(took, _)| took.as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let percentile = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).max(1);
        times.get(rank - 1).copied().unwrap_or_default()
    };
    let (p50, p99) = (percentile(50), percentile(99));
    println!("| {name} | {} | {p50:.2} | {p99:.2} |", times.len());
}

/// What the server has found out about the cost of a password since its start.
async fn measured(server: &Server) -> Duration {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let log = server.log();
        let milliseconds = log.split("milliseconds=").nth(1).and_then(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        });
        if let Some(milliseconds) = milliseconds {
            return Duration::from_millis(milliseconds);
        }
        assert!(Instant::now() < deadline, "not measured: {log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
