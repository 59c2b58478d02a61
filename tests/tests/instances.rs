//! Several instances on one PostgreSQL database.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Api, Backend, Database, Server, Setup, within_a_second};
use reqwest::Method;
use serde_json::{Value, json};

async fn two() -> (Server, Server) {
    let first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .start()
        .await;
    let second = first.sibling().await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_on_one_is_in_force_on_the_other_within_a_second() {
    let (a, b) = two().await;
    let (a, b) = (a.api(), b.api());
    for scope in ["local", "global"] {
        let email = format!("{scope}@example.com");
        let session = a.new_session(&email, "correct horse battery").await;
        b.me(&session.access).await.expect(200);
        a.with_token(
            Method::POST,
            "/auth/logout",
            &session.access,
            json!({"scope": scope}),
        )
        .await
        .expect(204);
        a.me(&session.access)
            .await
            .expect_problem(401, "session_revoked");
        within_a_second(scope, async || b.me(&session.access).await.status == 401).await;
        b.refresh(&session.refresh)
            .await
            .expect_problem(401, "session_revoked");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_user_changes_on_one_is_seen_on_the_other_within_a_second() {
    let (a, b) = two().await;
    let (a, b) = (a.api(), b.api());
    let session = a
        .new_session("ada@example.com", "correct horse battery")
        .await;
    b.me(&session.access).await.expect(200);
    a.with_token(
        Method::PATCH,
        "/auth/me",
        &session.access,
        json!({"name": "Ada"}),
    )
    .await
    .expect(200);
    within_a_second("a new name", async || {
        b.me(&session.access).await.expect(200)["name"] == "Ada"
    })
    .await;
    let body = json!({"password": "correct horse battery"});
    a.with_token(Method::DELETE, "/auth/me", &session.access, body)
        .await
        .expect(204);
    within_a_second("a deletion", async || {
        b.me(&session.access).await.status == 401
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_refreshes_of_one_token_on_both_give_one_successor() {
    let (a, b) = two().await;
    let (a, b) = (a.api(), b.api());
    let mut session = a
        .new_session("ada@example.com", "correct horse battery")
        .await;
    for _ in 0..5 {
        let tasks: Vec<_> = (0..64)
            .map(|i| {
                let (api, token) = (
                    if i % 2 == 0 { a.clone() } else { b.clone() },
                    session.refresh.clone(),
                );
                tokio::spawn(async move { api.refresh(&token).await.tokens() })
            })
            .collect();
        let mut successors = BTreeSet::new();
        for task in tasks {
            let tokens = task.await.unwrap();
            successors.insert(tokens.refresh.clone());
            session = tokens;
        }
        assert_eq!(successors.len(), 1, "{successors:?}");
    }
}

/// Where sessions are kept besides PostgreSQL: the variable that names a Redis for tests.
const NO_REDIS: Option<&str> = None;
const REDIS: Option<&str> = Some("COUNTERSIGN_TEST_REDIS");
const CLUSTER: Option<&str> = Some("COUNTERSIGN_TEST_REDIS_CLUSTER");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_refreshes_of_one_token_on_three_give_one_successor() {
    a_thousand_refreshes(NO_REDIS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_refreshes_of_one_token_with_redis_give_one_successor() {
    a_thousand_refreshes(REDIS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_refreshes_of_one_token_with_a_cluster_give_one_successor() {
    a_thousand_refreshes(CLUSTER).await;
}

/// Of one token, twice, on three instances at once.
async fn a_thousand_refreshes(redis: Option<&'static str>) {
    let mut setup = Setup::new(Backend::Postgres).set("COUNTERSIGN_SECRET", ROOT_SECRET);
    if let Some(variable) = redis {
        let url = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} names no Redis: `scripts/test` starts one"));
        setup = setup.set("REDIS_URL", url);
    }
    let first = setup.start().await;
    let servers = [first.sibling().await, first.sibling().await, first];
    let apis: Vec<_> = servers.iter().map(Server::api).collect();
    let mut session = apis[0]
        .new_session("ada@example.com", "correct horse battery")
        .await;
    for _ in 0..2 {
        let tasks: Vec<_> = (0..1000)
            .map(|i| {
                let (api, token) = (apis[i % 3].clone(), session.refresh.clone());
                tokio::spawn(async move {
                    loop {
                        let answer = api.refresh(&token).await;
                        // What PostgreSQL is too busy for is asked again. With Redis it is asked for one of them.
                        if answer.status != 503 || redis.is_some() {
                            return answer;
                        }
                    }
                })
            })
            .collect();
        let mut successors = BTreeSet::new();
        for task in tasks {
            let answer = task.await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text);
            session = answer.tokens();
            successors.insert(session.refresh.clone());
        }
        assert_eq!(successors.len(), 1, "{successors:?}");
    }
    for api in &apis {
        api.me(&session.access).await.expect(200);
        session = api.refresh(&session.refresh).await.tokens();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_start_at_once_on_an_empty_database() {
    let first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .prepare()
        .await;
    let database: Arc<Database> = first.database.clone();
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let folder = tempfile::tempdir().unwrap();
                let setup = Setup::new(Backend::Postgres).set("COUNTERSIGN_SECRET", ROOT_SECRET);
                let mut server = setup
                    .set("DATABASE_MAX_CONNECTIONS", "4")
                    .prepare_on(Arc::new(folder), database);
                server.launch().await;
                server
            })
        })
        .collect();
    let mut servers = Vec::new();
    for start in starts {
        servers.push(start.await.expect("every instance becomes ready"));
    }
    let mut key_sets = BTreeSet::new();
    for server in &servers {
        key_sets.insert(
            server
                .api()
                .get("/.well-known/jwks.json")
                .await
                .expect(200)
                .to_string(),
        );
    }
    assert_eq!(key_sets.len(), 1, "{key_sets:?}");
    let session = servers[0]
        .api()
        .new_session("ada@example.com", "correct horse battery")
        .await;
    for server in &servers {
        server.api().me(&session.access).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_take_part_in_a_key_rotation() {
    let (first, second) = two().await;
    let apis = [first.api(), second.api()];
    let session = apis[0]
        .new_session("ada@example.com", "correct horse battery")
        .await;
    let before = key_ids(&apis[0]).await;

    first.cli(&["keys", "rotate"]).expect(0);
    for api in &apis {
        within_a_second("the new key is published", async || {
            key_ids(api).await.len() == before.len() + 1
        })
        .await;
        assert!(
            key_ids(api).await.is_superset(&before),
            "the old key is kept for its tokens"
        );
        api.me(&session.access).await.expect(200);
    }
    // Signed by either, accepted by both.
    for (signer, verifier) in [(0, 1), (1, 0)] {
        let session = apis[signer]
            .login("ada@example.com", "correct horse battery")
            .await
            .tokens();
        apis[verifier].me(&session.access).await.expect(200);
    }

    first.cli(&["keys", "rotate", "--emergency"]).expect(0);
    for api in &apis {
        within_a_second("the old keys are gone", async || {
            key_ids(api).await.is_disjoint(&before)
        })
        .await;
    }
    for (signer, verifier) in [(0, 1), (1, 0)] {
        apis[signer]
            .me(&session.access)
            .await
            .expect_problem(401, "invalid_token");
        let fresh = apis[signer]
            .login("ada@example.com", "correct horse battery")
            .await
            .tokens();
        apis[verifier].me(&fresh.access).await.expect(200);
    }
    // Whoever could sign tokens could act as anybody, so no session from before goes on.
    apis[1]
        .refresh(&session.refresh)
        .await
        .expect_problem(401, "session_revoked");
}

async fn key_ids(api: &Api) -> BTreeSet<String> {
    let set = api.get("/.well-known/jwks.json").await.expect(200);
    set["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key: &Value| key["kid"].as_str().unwrap().to_owned())
        .collect()
}
