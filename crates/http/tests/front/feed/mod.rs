//! `GET /auth/revocations`: who may follow, and what is told.

mod follower;

use countersign_domain::service_key::ServiceScope;
use countersign_flows::{LimitPolicy, Rotation};
use countersign_store::UserChange;
use jiff::SignedDuration;
use serde_json::json;

use crate::admin_audit::id_of;
use crate::answer::Tokens;
use crate::app::{App, Choices, OPERATOR, minutes, seconds};
use follower::{Follower, key};

const PATH: &str = "/auth/revocations";
const ADA: &str = "ada@example.org";

/// The session of an access token.
fn sid(tokens: &Tokens) -> String {
    claim(tokens, "sid")
}

fn claim(tokens: &Tokens, name: &str) -> String {
    use base64::Engine as _;
    let payload = tokens.access.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload);
    let claims: serde_json::Value = serde_json::from_slice(&payload.unwrap()).unwrap();
    claims[name].as_str().unwrap().to_owned()
}

async fn sign_out(app: &App, tokens: &Tokens) {
    let bye = app.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_eq!(bye.status, 204);
}

async fn signed_out(app: &App) -> String {
    let tokens = app.sign_in(ADA).await;
    sign_out(app, &tokens).await;
    sid(&tokens)
}

#[tokio::test]
async fn only_a_service_with_a_live_key_of_the_right_scope_may_follow() {
    let app = App::new().await;
    let tokens = app.welcome(ADA).await;
    let none = app.get(PATH).send().await;
    assert_eq!(none.problem(), (401, "missing_service_key".to_owned()));
    let never = format!("cs_sk_{}", "A".repeat(43));
    for wrong in [tokens.access.as_str(), &tokens.refresh, "cs_sk_", &never] {
        let answer = app.get(PATH).bearer(wrong).send().await;
        assert_eq!(answer.problem(), (401, "invalid_service_key".to_owned()));
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
        assert!(!format!("{answer}").contains(wrong) || wrong == "cs_sk_");
    }
    let make = |name, scopes, lifetime| {
        app.flows
            .create_service_key(name, scopes, lifetime, &OPERATOR)
    };
    let (_, useless) = make("useless", &[], None).await.unwrap();
    let answer = app.get(PATH).bearer(useless.expose()).send().await;
    assert_eq!(answer.problem(), (403, "insufficient_scope".to_owned()));

    let feed = [ServiceScope::Feed];
    let (short, key) = make("short", &feed, Some(SignedDuration::from_hours(1)))
        .await
        .unwrap();
    Follower::new(&app, key.expose(), None).await;
    // A service key is no access token.
    assert_eq!(app.me(key.expose()).await.status, 401);
    app.step(minutes(60));
    let expired = app.get(PATH).bearer(key.expose()).send().await;
    assert_eq!(expired.problem(), (401, "invalid_service_key".to_owned()));
    assert_eq!(
        make("short", &feed, None)
            .await
            .unwrap_err()
            .to_string()
            .split(':')
            .next(),
        Some("another service key has this name")
    );
    app.flows
        .revoke_service_key("short", &OPERATOR)
        .await
        .unwrap()
        .unwrap();
    let (_, second) = make("short", &feed, None).await.unwrap();
    Follower::new(&app, second.expose(), None).await;
    let id = short.id.to_string();
    assert_eq!(
        app.flows.revoke_service_key(&id, &OPERATOR).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn a_snapshot_and_then_every_kind_of_revocation_once() {
    let app = App::new().await;
    let key = key(&app).await;
    let first = app.welcome(ADA).await;
    sign_out(&app, &first).await;
    let mut follower = Follower::new(&app, &key, None).await;
    follower.catch_up(&app).await;
    assert_eq!(follower.snapshots, 1);
    assert_eq!(follower.known.iter().collect::<Vec<_>>(), [&sid(&first)]);

    let second = signed_out(&app).await;
    let third = app.sign_in(ADA).await;
    let event = app.me(&first.access).await.json()["event_id"].clone();
    let user = id_of(&app, ADA).await;
    let change = UserChange {
        roles: Some(vec!["reader".to_owned()]),
        ..UserChange::default()
    };
    app.flows
        .users(&OPERATOR)
        .update(user, change)
        .await
        .unwrap();
    follower.catch_up(&app).await;
    let expected = [sid(&first), second.clone(), user.to_string()];
    assert_eq!(follower.known, expected.into_iter().collect());
    assert!(follower.raw.contains(event.as_str().unwrap()));
    // What this instance did, it reads in the table as well, and does not tell it twice.
    assert_eq!(follower.raw.matches(&second).count(), 1);

    let before = follower.keys_changed;
    app.flows
        .rotate_keys(Rotation::Emergency, &OPERATOR)
        .await
        .unwrap();
    follower.catch_up(&app).await;
    assert!(follower.known.contains("everybody"));
    assert_eq!(follower.keys_changed, before + 1);
    // The whole list is read again, and brings nothing.
    let length = follower.raw.matches("event: revoked").count();
    for _ in 0..40 {
        follower.catch_up(&app).await;
    }
    assert_eq!(follower.raw.matches("event: revoked").count(), length);
    assert_eq!(follower.keys_changed, before + 1);
    for secret in [&first.access, &first.refresh, &third.refresh, &key, ADA] {
        assert!(!follower.raw.contains(secret));
    }
}

#[tokio::test]
async fn what_another_instance_did_is_told_and_resuming_there_misses_nothing() {
    let a = App::new().await;
    let key = key(&a).await;
    a.welcome(ADA).await;
    let b = a.another(Choices::default()).await.unwrap();
    let mut at_a = Follower::new(&a, &key, None).await;
    let told = signed_out(&b).await;
    at_a.catch_up(&a).await;
    assert!(at_a.known.contains(&told));
    let id = at_a.last_id.clone();
    drop(at_a);

    let mut missed = Vec::new();
    for app in [&a, &b, &a] {
        missed.push(signed_out(app).await);
    }
    let mut at_b = Follower::new(&b, &key, id.as_deref()).await;
    at_b.catch_up(&b).await;
    assert_eq!(at_b.snapshots, 0);
    for sid in &missed {
        assert!(at_b.known.contains(sid), "{sid}");
    }
    // Long after, only what is new: also where the client was away for minutes.
    for _ in 0..150 {
        at_b.catch_up(&b).await;
    }
    let id = at_b.last_id.clone();
    a.step(minutes(3));
    let late = signed_out(&a).await;
    b.flows.follow().await.unwrap();
    b.edge.feed_now();
    let mut again = Follower::new(&b, &key, id.as_deref()).await;
    again.catch_up(&b).await;
    assert_eq!(again.snapshots, 0);
    assert_eq!(again.known.iter().collect::<Vec<_>>(), [&late]);
}

#[tokio::test]
async fn whoever_comes_with_an_id_that_says_nothing_gets_everything() {
    let app = App::new().await;
    let key = key(&app).await;
    app.welcome(ADA).await;
    let ended = signed_out(&app).await;
    let mut follower = Follower::new(&app, &key, None).await;
    follower.catch_up(&app).await;
    let id = follower.last_id.clone().unwrap();
    let parts: Vec<&str> = id.split('.').collect();
    let elsewhere = format!("1.00000000.{}.{}", parts[2], parts[3]);
    let ahead = format!("1.{}.{}.99999999999999", parts[1], parts[2]);
    let [least, greatest] = [i64::MIN, i64::MAX];
    let [before, after, negative] = [
        format!("1.{}.{}.{least}", parts[1], parts[2]),
        format!("1.{}.{greatest}.{greatest}", parts[1]),
        format!("1.{}.{least}.{}", parts[1], parts[3]),
    ];
    let long = "9".repeat(4000);
    for id in [
        "", "17", "nonsense", "1...", &elsewhere, &ahead, &before, &after, &negative, &long,
    ] {
        let mut follower = Follower::new(&app, &key, Some(id)).await;
        follower.catch_up(&app).await;
        assert_eq!(follower.snapshots, 1, "{id}");
        assert!(follower.known.contains(&ended));
    }
    app.step(minutes(20));
    let mut late = Follower::new(&app, &key, Some(&id)).await;
    late.catch_up(&app).await;
    assert_eq!(late.snapshots, 1);
    assert!(late.known.contains(&ended));
}

#[tokio::test]
async fn an_instance_that_cannot_follow_the_database_sends_no_heartbeat() {
    let app = App::new().await;
    let key = key(&app).await;
    let mut follower = Follower::new(&app, &key, None).await;
    let beat = follower.catch_up(&app).await;
    assert_eq!(beat["age_ms"], 0);
    app.step(seconds(2));
    app.edge.feed_now();
    let event = follower.next().await.unwrap();
    assert_eq!(
        (event.name.as_str(), &event.data["age_ms"]),
        ("heartbeat", &json!(2000))
    );
    for _ in 0..5 {
        app.step(seconds(1));
        app.edge.feed_now();
    }
    // It has not looked since; whoever comes now gets what is known, and no heartbeat either.
    let mut blind = Follower::new(&app, &key, None).await;
    assert_eq!(blind.next().await.unwrap().name, "snapshot");
    app.edge.feed_now();
    app.flows.follow().await.unwrap();
    app.edge.feed_now();
    for follower in [&mut follower, &mut blind] {
        let event = follower.next().await.unwrap();
        assert_eq!(
            (event.name.as_str(), &event.data["age_ms"]),
            ("heartbeat", &json!(0))
        );
    }
    assert!(follower.raw.contains("\n\n:\n\n"));
    assert_eq!(blind.raw.matches("heartbeat").count(), 1);
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_its_streams_on_every_instance() {
    let a = App::new().await;
    let key = key(&a).await;
    let feed = [ServiceScope::Feed];
    let made = a.flows.create_service_key("other", &feed, None, &OPERATOR);
    let (_, other) = made.await.unwrap();
    let b = a.another(Choices::default()).await.unwrap();
    let mut ended = [
        Follower::new(&a, &key, None).await,
        Follower::new(&b, &key, None).await,
    ];
    let mut stays = Follower::new(&b, other.expose(), None).await;
    for (follower, app) in ended.iter_mut().zip([&a, &b]) {
        follower.catch_up(app).await;
    }
    a.welcome(ADA).await;
    a.flows
        .revoke_service_key("api", &OPERATOR)
        .await
        .unwrap()
        .unwrap();
    let late = signed_out(&a).await;
    for app in [&a, &b] {
        app.flows.follow().await.unwrap();
        app.edge.feed_now();
        let refused = app.get(PATH).bearer(&key).send().await;
        assert_eq!(refused.problem(), (401, "invalid_service_key".to_owned()));
    }
    for follower in &mut ended {
        follower.drain().await;
        assert!(!follower.known.contains(&late));
    }
    stays.catch_up(&b).await;
    assert!(stays.known.contains(&late));
}

#[tokio::test]
async fn a_client_that_lags_behind_begins_anew_and_misses_nothing() {
    let app = App::new().await;
    let key = key(&app).await;
    app.welcome(ADA).await;
    let mut follower = Follower::new(&app, &key, None).await;
    follower.catch_up(&app).await;
    let mut ended = Vec::new();
    for n in 0..600 {
        if n % 100 == 0 {
            ended.push(signed_out(&app).await);
        }
        app.edge.feed_now();
    }
    follower.catch_up(&app).await;
    assert_eq!(follower.snapshots, 2);
    for sid in &ended {
        assert!(follower.known.contains(sid));
    }
    let figures = app.metrics().await;
    assert!(
        figures.contains("countersign_feed_lagged_total 1\n"),
        "{figures}"
    );
    assert!(
        figures.contains("countersign_feed_subscribers 1\n"),
        "{figures}"
    );
}

/// The snapshot takes a client longer than frames wait for others: it must come to its end, and get what has come since.
#[tokio::test]
async fn a_client_that_is_long_in_reading_a_snapshot_gets_what_came_meanwhile() {
    let app = App::new().await;
    let key = key(&app).await;
    app.welcome(ADA).await;
    let mut follower = Follower::new(&app, &key, None).await;
    follower.some_bytes().await;
    let mut ended = Vec::new();
    for n in 0..600 {
        // More frames than are given at once of those that are kept.
        if n % 12 == 0 {
            ended.push(signed_out(&app).await);
        }
        app.edge.feed_now();
    }
    follower.catch_up(&app).await;
    assert_eq!(follower.snapshots, 1);
    for sid in &ended {
        assert_eq!(follower.raw.matches(sid.as_str()).count(), 1, "{sid}");
    }
    // No heartbeat before all that it speaks of.
    let first_beat = follower.raw.find("event: heartbeat");
    let last_entry = follower.raw.rfind("event: revoked");
    assert!(first_beat > last_entry, "{}", follower.raw);
    // Coming back, the same.
    let id = follower.last_id.clone();
    let mut again = Follower::new(&app, &key, id.as_deref()).await;
    again.catch_up(&app).await;
    assert_eq!(again.snapshots, 0);
    assert!(ended.iter().all(|sid| again.known.contains(sid)));
}

/// However many are slow, three snapshots are kept at most; whoever loses his begins anew.
#[tokio::test]
async fn slow_clients_do_not_keep_a_snapshot_each() {
    let app = App::with(Choices {
        feed_subscribers: 20,
        ..Choices::default()
    })
    .await;
    let key = key(&app).await;
    app.welcome(ADA).await;
    let mut slow = Vec::new();
    let mut ended = Vec::new();
    for _ in 0..8 {
        ended.push(signed_out(&app).await);
        app.flows.follow().await.unwrap();
        app.edge.feed_now();
        let mut follower = Follower::new(&app, &key, None).await;
        follower.some_bytes().await;
        slow.push(follower);
        app.step(seconds(2));
    }
    // The fourth and all after it share the third's, and are told the rest.
    let mut last = slow.pop().unwrap();
    last.catch_up(&app).await;
    assert_eq!(last.raw.matches("event: revoked").count(), 5);
    assert!(ended.iter().all(|sid| last.known.contains(sid)));
    let lagged = async |times: usize| {
        let figures = app.metrics().await;
        let line = format!("countersign_feed_lagged_total {times}\n");
        assert!(figures.contains(&line), "{figures}");
    };
    lagged(0).await;
    // A minute later there is a new one in place of the first.
    app.step(minutes(1));
    app.flows.follow().await.unwrap();
    Follower::new(&app, &key, None).await;
    let mut first = slow.remove(0);
    first.catch_up(&app).await;
    lagged(1).await;
    assert_eq!(first.snapshots, 1);
    assert!(ended.iter().all(|sid| first.known.contains(sid)));
    for mut follower in slow {
        follower.catch_up(&app).await;
        assert!(ended.iter().all(|sid| follower.known.contains(sid)));
    }
    lagged(1).await;
}

#[tokio::test]
async fn when_all_places_are_taken_others_are_told_to_come_back() {
    let app = App::new().await;
    let key = key(&app).await;
    let mut followers = Vec::new();
    for _ in 0..4 {
        followers.push(Follower::new(&app, &key, None).await);
    }
    let full = app.get(PATH).bearer(&key).send().await;
    assert_eq!(full.problem(), (503, "feed_full".to_owned()));
    assert_eq!(full.header("retry-after"), Some("5"));
    followers.pop();
    Follower::new(&app, &key, None).await;
}

#[tokio::test]
async fn stopping_ends_every_stream_at_once() {
    let app = App::new().await;
    let key = key(&app).await;
    let mut follower = Follower::new(&app, &key, None).await;
    app.edge.feed(std::future::ready(())).await;
    follower.drain().await;
    let mut late = Follower::new(&app, &key, None).await;
    late.drain().await;
    assert!(late.known.is_empty());
}

/// No limit stands in the way of services that come back all at once.
#[tokio::test]
async fn following_takes_no_place_of_a_limit() {
    let limits = LimitPolicy {
        other: crate::limits::FIVE,
        ..LimitPolicy::default()
    };
    let app = App::with(Choices {
        limits,
        ..Choices::default()
    });
    let app = app.await;
    let key = key(&app).await;
    for _ in 0..8 {
        Follower::new(&app, &key, None).await;
    }
}
