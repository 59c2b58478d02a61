//! Requests whose client goes away in the middle: their answers must not reach anybody else.

use std::time::Duration;

use countersign_tests::{Answer, Api, Backend, Random, Server, on_each_backend};
use reqwest::{Method, RequestBuilder};
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
        // Over HTTP/2 a request is given up on a connection that others go on using, until the server closes it for
        // too many of that (CVE-2023-44487) and the client opens another.
        let api = match i % 2 {
            0 => server.api(),
            _ => Api::h2c(server.base()),
        };
        users.push((api, email, tokens));
    }
    let aborting: Vec<_> = users
        .iter()
        .map(|(api, email, session)| {
            tokio::spawn(abort_many(
                api.clone(),
                email.clone(),
                session.access.clone(),
                random.fork(),
            ))
        })
        .collect();
    let asking: Vec<_> = users
        .iter()
        .map(|(api, email, session)| {
            let (api, email, mut session) = (api.clone(), email.clone(), session.clone());
            tokio::spawn(async move {
                for _ in 0..200 {
                    // The second from memory, the first from the database.
                    let body = json!({"refresh_token": session.refresh});
                    let refresh = || api.request(Method::POST, "/auth/refresh").json(&body);
                    session = insist(refresh).await.tokens();
                    let me = || {
                        api.request(Method::GET, "/auth/me")
                            .bearer_auth(&session.access)
                    };
                    assert_eq!(insist(me).await.expect(200)["email"], email);
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
            // The connection was closed under it.
            Ok(Err(_)) => aborted += 1,
        }
    }
    aborted
}

/// Sends until an answer comes.
async fn insist(request: impl Fn() -> RequestBuilder) -> Answer {
    for _ in 0..50 {
        if let Ok(answer) = Api::try_send(request()).await {
            return answer;
        }
    }
    panic!("50 connections in a row were closed");
}
