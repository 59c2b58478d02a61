//! `kill -9` at random points of registration, refresh, sign-out and password change.
//!
//! Several clients work without a pause, each on users of its own; the server is killed after a few milliseconds and
//! started again on the same data; then each client checks what it was promised:
//!
//! - what got a 2xx holds: users can sign in, ended sessions stay ended, a changed password stays changed;
//! - what got no answer may or may not have happened, entirely, and repeating it is safe;
//! - a refresh token that was exchanged gives the same successor again within the grace period, and an older one ends
//!   its session: there is never a second branch;
//! - an e-mail address belongs to one user, and every answer names the user who asked.

mod client;

use std::collections::BTreeMap;
use std::time::Duration;

use countersign_tests::{Backend, Random, Server, Setup, on_each_backend};
use tokio::time::sleep;

use client::Client;

const ROUNDS: usize = 60;
const CLIENTS: usize = 4;
const LONGEST_ROUND_MS: u64 = 60;

on_each_backend!(promises_survive_kill_9);

async fn promises_survive_kill_9(backend: Backend) {
    let mut random = Random::from_environment();
    // Long, so that a slow machine does not turn the retry of an exchanged token into reuse.
    let mut server = Setup::new(backend)
        .set("REFRESH_GRACE_SECONDS", "300")
        .start()
        .await;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(random.fork())).collect();
    let mut interrupted = BTreeMap::new();
    for round in 0..ROUNDS {
        let delay = Duration::from_millis(random.below(LONGEST_ROUND_MS));
        let work: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let api = server.api();
                tokio::spawn(async move {
                    client.work(&api).await;
                    client
                })
            })
            .collect();
        sleep(delay).await;
        server.kill();
        clients = Vec::new();
        for client in work {
            clients.push(
                client
                    .await
                    .expect("a client met an answer that it must not get"),
            );
        }
        server.launch().await;
        server.database.check_integrity().await;
        let api = server.api();
        for client in &mut clients {
            let doing = client.doing();
            *interrupted.entry(doing).or_insert(0) += 1;
            println!(
                "round {round}: {} was interrupted during {doing}",
                client.email()
            );
            client.check(&api).await;
        }
    }
    one_user_per_email(&server).await;
    println!("interrupted: {interrupted:?}");
    for operation in ["register", "refresh", "logout", "change password"] {
        assert!(
            interrupted.contains_key(operation),
            "never interrupted: {operation}"
        );
    }
}

async fn one_user_per_email(server: &Server) {
    let twice = "SELECT email_key FROM users GROUP BY email_key HAVING count(*) > 1";
    assert_eq!(server.database.texts(twice).await, [""; 0]);
}
