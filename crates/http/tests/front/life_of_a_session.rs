//! Tokens from sign-in to expiry, by the clock.

use countersign_store::MAX_SESSIONS;
use serde_json::Value;

use crate::answer::Tokens;
use crate::app::{App, days, minutes, seconds};

async fn signed_in() -> (App, Tokens) {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    (app, tokens)
}

#[tokio::test]
async fn sign_in_use_refresh_use() {
    let (app, first) = signed_in().await;
    app.assert_live(&first).await;
    app.step(minutes(14));
    let second = app.refresh(&first.refresh).await.tokens();
    assert_ne!(second, first);
    app.assert_live(&second).await;
    // The older access token has a minute to live, and its session lives.
    app.assert_live(&first).await;
    app.step(minutes(14));
    app.assert_live(&second).await;
    let third = app.refresh(&second.refresh).await.tokens();
    app.assert_live(&third).await;
}

#[tokio::test]
async fn a_retry_within_the_grace_period_gets_the_same_successor() {
    let (app, first) = signed_in().await;
    let second = app.refresh(&first.refresh).await.tokens();
    for _ in 0..3 {
        app.step(seconds(10));
        let retry = app.refresh(&first.refresh).await.tokens();
        assert_eq!(retry.refresh, second.refresh);
        app.assert_live(&retry).await;
    }
    app.assert_live(&second).await;
    app.refresh(&second.refresh).await.tokens();
}

#[tokio::test]
async fn ten_refreshes_at_once_get_one_successor() {
    let (app, first) = signed_in().await;
    let refreshing = std::iter::repeat_with(|| app.refresh(&first.refresh)).take(10);
    let answers = futures_util::future::join_all(refreshing).await;
    let mut successors: Vec<String> = answers.iter().map(|a| a.tokens().refresh).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    app.refresh(&successors[0]).await.tokens();
}

#[tokio::test]
async fn an_access_token_lives_15_minutes_and_the_leeway() {
    let (app, tokens) = signed_in().await;
    app.step(minutes(15) + seconds(4));
    app.assert_live(&tokens).await;
    app.step(seconds(1));
    let answer = app.me(&tokens.access).await;
    assert_eq!(answer.problem(), (401, "token_expired".to_owned()));
    app.refresh(&tokens.refresh).await.tokens();
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_for_30_days() {
    let (app, tokens) = signed_in().await;
    app.step(days(30) - seconds(1));
    let tokens = app.refresh(&tokens.refresh).await.tokens();
    app.step(days(30));
    let answer = app.refresh(&tokens.refresh).await;
    assert_eq!(answer.problem(), (401, "session_expired".to_owned()));
}

#[tokio::test]
async fn a_session_ends_after_90_days_however_much_it_is_used() {
    let (app, mut tokens) = signed_in().await;
    for _ in 0..8 {
        app.step(days(10));
        tokens = app.refresh(&tokens.refresh).await.tokens();
    }
    app.step(days(10) - minutes(1));
    let last = app.refresh(&tokens.refresh).await;
    assert_eq!(last.json()["expires_in"], 60);
    assert_eq!(last.json()["refresh_expires_in"], 60);
    let last = last.tokens();
    app.step(minutes(1) + seconds(5));
    let answer = app.me(&last.access).await;
    assert_eq!(answer.problem(), (401, "token_expired".to_owned()));
    let answer = app.refresh(&last.refresh).await;
    assert_eq!(answer.problem(), (401, "session_expired".to_owned()));
}

#[tokio::test]
async fn an_expired_session_is_not_listed() {
    let (app, _) = signed_in().await;
    app.step(days(30));
    let tokens = app.sign_in("ada@example.org").await;
    let list = app
        .get("/auth/sessions")
        .bearer(&tokens.access)
        .send()
        .await;
    assert_eq!(list.json()["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(list.json()["next_cursor"], Value::Null);
}

#[tokio::test]
async fn of_too_many_sessions_the_oldest_ends() {
    let (app, oldest) = signed_in().await;
    app.step(seconds(1));
    let second = app.sign_in("ada@example.org").await;
    for _ in 2..MAX_SESSIONS {
        app.sign_in("ada@example.org").await;
    }
    app.assert_live(&oldest).await;
    let newest = app.sign_in("ada@example.org").await;
    app.assert_over(&oldest).await;
    app.assert_live(&second).await;
    app.assert_live(&newest).await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_signs_nobody_out() {
    let (app, tokens) = signed_in().await;
    let second = app.refresh(&tokens.refresh).await.tokens();
    app.step(minutes(-10));
    // From the future, as far as anybody can tell: refused, but not lost.
    let answer = app.me(&second.access).await;
    assert_eq!(answer.problem(), (401, "invalid_token".to_owned()));
    let retry = app.refresh(&tokens.refresh).await.tokens();
    assert_eq!(retry.refresh, second.refresh);
    app.assert_live(&retry).await;
    let third = app.refresh(&retry.refresh).await.tokens();
    app.assert_live(&third).await;
    app.step(minutes(10));
    app.assert_live(&third).await;
    app.refresh(&third.refresh).await.tokens();
}

#[tokio::test]
async fn a_sign_out_holds_after_the_clock_was_wrong_for_a_while() {
    let (app, tokens) = signed_in().await;
    app.post("/auth/logout").bearer(&tokens.access).send().await;
    app.set_clock_by(days(1));
    app.flows.follow().await.unwrap();
    app.set_clock_by(days(-1));
    app.assert_over(&tokens).await;
}

#[tokio::test]
async fn a_sign_out_holds_while_the_clock_is_set_back() {
    let (app, tokens) = signed_in().await;
    app.post("/auth/logout").bearer(&tokens.access).send().await;
    app.step(seconds(-600));
    assert_eq!(app.me(&tokens.access).await.status, 401);
    assert_eq!(app.refresh(&tokens.refresh).await.status, 401);
    app.step(seconds(601));
    app.assert_over(&tokens).await;
}
