//! The limits for those who have a token.

use countersign_domain::limits::Rule;
use countersign_flows::LimitPolicy;
use insta::assert_snapshot;
use jiff::SignedDuration;
use serde_json::json;

use crate::app::{App, Choices, PASSWORD, minutes};
use crate::limits::FIVE;

const TWO: Option<Rule> = Some(Rule::Window {
    limit: 2,
    window: SignedDuration::from_mins(1),
});

async fn limited(limits: LimitPolicy) -> App {
    let choices = Choices {
        limits,
        ..Choices::default()
    };
    App::with(choices).await
}

#[tokio::test]
async fn refreshes() {
    let limits = LimitPolicy {
        refresh: TWO,
        ..LimitPolicy::default()
    };
    let app = limited(limits).await;
    let mut tokens = app.welcome("ada@example.org").await;
    for left in [1, 0] {
        let answer = app.refresh(&tokens.refresh).await;
        let left = format!(r#""refresh";r={left};t=60"#);
        assert_eq!(answer.header("ratelimit"), Some(&*left));
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some(r#""refresh";q=2;w=60"#)
        );
        tokens = answer.tokens();
    }
    let refused = app.refresh(&tokens.refresh).await;
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    let form = format!("refresh_token={}", tokens.refresh);
    assert_snapshot!(app.post("/auth/refresh").form(&form).send().await, @r#"
    429 Too Many Requests
    content-type: application/json
    cache-control: no-store
    retry-after: 60
    ratelimit-policy: "refresh";q=2;w=60
    ratelimit: "refresh";r=0;t=60
    x-request-id: 01a3185c-5000-74d0-8512-0bd70c99ba89

    {
      "code": "rate_limited",
      "detail": "Try again after the time in `Retry-After`.",
      "error": "slow_down",
      "error_description": "Try again after the time in `Retry-After`.",
      "request_id": "01a3185c-5000-74d0-8512-0bd70c99ba89",
      "status": 429,
      "title": "Too many attempts",
      "type": "/problems/rate_limited"
    }
    "#);
    // A refusal consumes nothing.
    app.step(minutes(1));
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn everything_else_that_takes_a_token() {
    let limits = LimitPolicy {
        other: TWO,
        ..LimitPolicy::default()
    };
    let app = limited(limits).await;
    let tokens = app.welcome("ada@example.org").await;
    let answer = app.me(&tokens.access).await;
    assert_eq!(
        (answer.status, answer.header("ratelimit")),
        (200, Some(r#""other";r=1;t=60"#))
    );
    assert_eq!(app.me("no token").await.status, 401);
    let refresh = json!({"refresh_token": tokens.refresh});
    let password = json!({"password": PASSWORD});
    let change = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    for request in [
        app.get("/auth/me"),
        app.patch("/auth/me").json(&json!({"name": "Ada"})),
        app.delete("/auth/me").json(&password),
        app.post("/auth/password/change").json(&change),
        app.get("/auth/sessions"),
        app.delete("/auth/sessions/00000000-0000-0000-0000-000000000000"),
        app.post("/auth/logout"),
        app.post("/auth/logout").json(&refresh),
    ] {
        let answer = request.bearer(&tokens.access).send().await;
        assert_eq!(
            answer.problem(),
            (429, "rate_limited".to_owned()),
            "{answer}"
        );
    }
    // Those who have none yet, and public documents, have nothing to do with it.
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
    for path in ["/healthz", "/.well-known/jwks.json", "/openapi.json"] {
        let answer = app.get(path).send().await;
        assert_eq!((answer.status, answer.header("ratelimit")), (200, None));
    }
    let elsewhere = app
        .get("/auth/me")
        .bearer(&tokens.access)
        .from("203.0.113.8");
    assert_eq!(elsewhere.send().await.status, 200);
}

#[tokio::test]
async fn a_password_that_is_asked_for_again_is_limited_like_a_sign_in() {
    let limits = LimitPolicy {
        login: FIVE,
        ..LimitPolicy::default()
    };
    let app = limited(limits).await;
    let tokens = app.welcome("ada@example.org").await;
    let other = app.sign_in("ada@example.org").await;
    // Whoever uses up the front door keeps nobody from what is behind it.
    for _ in 0..6 {
        app.login("ada@example.org", "wrong").await;
    }
    let change = async |token: &str, current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        let change = app.post("/auth/password/change").bearer(token);
        change.json(&body).send().await
    };
    for _ in 0..8 {
        let invalid = change(&tokens.access, "wrong", "short").await;
        assert_eq!(invalid.status, 422);
    }
    for left in [4, 3, 2] {
        let answer = change(&tokens.access, "wrong", "a better passphrase").await;
        let left = format!(r#""password";r={left};t=900"#);
        assert_eq!(
            (answer.status, answer.header("ratelimit")),
            (403, Some(&*left))
        );
    }
    let delete = async |token: &str, password: &str| {
        let delete = app.delete("/auth/me").bearer(token).from("203.0.113.9");
        delete.json(&json!({"password": password})).send().await
    };
    for _ in 0..2 {
        assert_eq!(delete(&tokens.access, "wrong").await.status, 403);
    }
    let before = app.flows.hashing().computed();
    assert_eq!(delete(&tokens.access, PASSWORD).await.status, 429);
    let refused = change(&tokens.access, PASSWORD, "a better passphrase").await;
    assert_eq!(refused.status, 429);
    assert_eq!(app.flows.hashing().computed(), before);
    let answer = change(&other.access, PASSWORD, "a better passphrase").await;
    assert_eq!(
        (answer.status, answer.header("ratelimit")),
        (204, Some(r#""password";r=5;t=900"#))
    );
}
