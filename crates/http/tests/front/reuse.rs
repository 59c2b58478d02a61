//! A refresh token that had its turn and comes back: somebody holds a copy.

use crate::answer::{Answer, Tokens};
use crate::app::{App, seconds};

/// A session with the tokens of its first generations.
async fn generations(count: usize) -> (App, Vec<Tokens>) {
    let app = App::new().await;
    let mut all = vec![app.welcome("ada@example.org").await];
    for _ in 1..count {
        let next = app.refresh(&all.last().unwrap().refresh).await.tokens();
        all.push(next);
    }
    (app, all)
}

fn assert_reused(answer: &Answer) {
    let expected = (401, "refresh_token_reused".to_owned());
    assert_eq!(answer.problem(), expected, "{answer}");
}

async fn assert_family_is_dead(app: &App, all: &[Tokens]) {
    for tokens in all {
        let me = app.me(&tokens.access).await;
        assert_eq!(me.problem(), (401, "session_revoked".to_owned()));
        assert_reused(&app.refresh(&tokens.refresh).await);
    }
}

#[tokio::test]
async fn the_token_before_after_the_grace_period() {
    let (app, all) = generations(2).await;
    let bystander = app.sign_in("ada@example.org").await;
    app.step(seconds(31));
    app.assert_live(&all[1]).await;
    assert_reused(&app.refresh(&all[0].refresh).await);
    assert_family_is_dead(&app, &all).await;
    app.assert_live(&bystander).await;
}

#[tokio::test]
async fn the_last_moment_of_the_grace_period() {
    let (app, all) = generations(2).await;
    app.step(seconds(30));
    let retry = app.refresh(&all[0].refresh).await.tokens();
    assert_eq!(retry.refresh, all[1].refresh);
}

#[tokio::test]
async fn two_behind_even_within_the_grace_period() {
    let (app, all) = generations(3).await;
    assert_reused(&app.refresh(&all[0].refresh).await);
    assert_family_is_dead(&app, &all).await;
}

#[tokio::test]
async fn a_retry_does_not_make_the_grace_period_longer() {
    let (app, all) = generations(2).await;
    app.step(seconds(20));
    app.refresh(&all[0].refresh).await.tokens();
    app.step(seconds(11));
    assert_reused(&app.refresh(&all[0].refresh).await);
}

#[tokio::test]
async fn any_of_many_generations() {
    for replayed in 0..5 {
        let (app, all) = generations(7).await;
        assert_reused(&app.refresh(&all[replayed].refresh).await);
        assert_family_is_dead(&app, &all).await;
    }
}

#[tokio::test]
async fn the_user_may_sign_in_again() {
    let (app, all) = generations(3).await;
    assert_reused(&app.refresh(&all[0].refresh).await);
    let again = app.sign_in("ada@example.org").await;
    app.assert_live(&again).await;
    app.refresh(&again.refresh).await.tokens();
}
