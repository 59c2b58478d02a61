//! Requests whose client goes away in the middle: their answers must not reach anybody else.

use std::time::Duration;

use countersign_tests::{Api, Backend, Random, Server, on_each_backend};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery";
const USERS: usize = 8;
const ABORTED_EACH: usize = 150;

on_each_backend!(no_answer_names_another_user);

async fn no_answer_names_another_user(backend: Backend) {
    let server = Server::start(backend).await;
    let mut random = Random::from_environment();
    let mut users = Vec::new();
    for i in 0..USERS {
        let email = format!("user{i}@example.com");
        let tokens = server.api().new_session(&email, PASSWORD).await;
        users.push((email, tokens.access));
    }
    let aborting: Vec<_> = users
        .iter()
        .map(|(email, access)| {
            tokio::spawn(abort_many(
                server.api(),
                email.clone(),
                access.clone(),
                random.fork(),
            ))
        })
        .collect();
    let asking: Vec<_> = users
        .iter()
        .map(|(email, access)| {
            let (api, email, access) = (server.api(), email.clone(), access.clone());
            tokio::spawn(async move {
                for _ in 0..200 {
                    assert_eq!(api.me(&access).await.expect(200)["email"], email);
                    // Not from memory: this one asks the database.
                    let tokens = api.login(&email, PASSWORD).await.tokens();
                    assert_eq!(api.me(&tokens.access).await.expect(200)["email"], email);
                }
            })
        })
        .collect();
    let mut aborted = 0;
    for task in aborting {
        aborted += task.await.expect("no other answer");
    }
    for task in asking {
        task.await.expect("every answer is the asker's own");
    }
    println!(
        "{aborted} of {} requests were aborted in flight",
        USERS * ABORTED_EACH
    );
    assert!(aborted > 0);
}

/// Sends requests and gives them up after a moment; returns how many had got no answer by then.
async fn abort_many(api: Api, email: String, access: String, mut random: Random) -> usize {
    let mut aborted = 0;
    for i in 0..ABORTED_EACH {
        let request = match i % 3 {
            0 => api
                .request(Method::POST, "/auth/login")
                .json(&json!({"email": email, "password": PASSWORD})),
            1 => api
                .request(Method::GET, "/auth/sessions")
                .bearer_auth(&access),
            _ => api
                .request(Method::PATCH, "/auth/me")
                .bearer_auth(&access)
                .json(&json!({"name": email})),
        };
        match timeout(
            Duration::from_micros(random.below(3000)),
            Api::try_send(request),
        )
        .await
        {
            Err(_) => aborted += 1,
            Ok(Ok(answer)) => {
                assert_eq!(answer.status, 200, "{}", answer.text);
                let body = answer.json();
                if let Some(name) = body["email"].as_str() {
                    assert_eq!(name, email);
                }
            }
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    aborted
}
