//! How often somebody may be wrong, or register. All tests here run on limits counted in memory and
//! on limits counted in the store.

use countersign_domain::limits::Rule;
use countersign_flows::{Counting, LimitPolicy};
use countersign_store::UserChange;
use futures_util::future::join_all;
use http::HeaderName;
use insta::{allow_duplicates, assert_snapshot};
use jiff::SignedDuration;
use serde_json::json;

use crate::answer::Answer;
use crate::app::{App, Choices, PASSWORD, minutes, seconds};

pub(crate) const FIVE: Option<Rule> = Some(Rule::Window {
    limit: 5,
    window: SignedDuration::from_mins(15),
});
const GROWING: Option<Rule> = Some(Rule::Backoff {
    free: 2,
    first: SignedDuration::from_secs(1),
    longest: SignedDuration::from_secs(4),
    forget: SignedDuration::from_hours(24),
});

async fn limited(limits: LimitPolicy) -> App {
    let choices = Choices {
        limits,
        ..Choices::default()
    };
    App::with(choices).await
}

/// An app for each place to count in.
async fn each(limits: LimitPolicy) -> [App; 2] {
    let shared = Counting::InStore;
    [
        limited(limits).await,
        limited(LimitPolicy { shared, ..limits }).await,
    ]
}

fn sign_ins() -> LimitPolicy {
    LimitPolicy {
        login: FIVE,
        ..LimitPolicy::default()
    }
}

fn accounts() -> LimitPolicy {
    LimitPolicy {
        account: GROWING,
        ..LimitPolicy::default()
    }
}

async fn login_from(app: &App, address: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    app.post("/auth/login")
        .from(address)
        .json(&body)
        .send()
        .await
}

fn standing(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    let (policy, left) = (
        answer.header("ratelimit-policy"),
        answer.header("ratelimit"),
    );
    (answer.status, policy, left)
}

#[tokio::test]
async fn five_wrong_passwords_and_then_a_pause() {
    for app in each(sign_ins()).await {
        app.register("ada@example.org").await;
        let five = Some(r#""login";q=5;w=900"#);
        for left in [4, 3, 2, 1, 0] {
            let answer = app.login("ada@example.org", "wrong").await;
            let left = format!(r#""login";r={left};t=900"#);
            assert_eq!(standing(&answer), (401, five, Some(&*left)));
        }
        app.step(seconds(100));
        // A right password is not looked at either.
        let answer = app.login("ada@example.org", PASSWORD).await;
        allow_duplicates! {
            assert_snapshot!(answer, @r#"
            429 Too Many Requests
            content-type: application/problem+json
            cache-control: no-store
            retry-after: 800
            ratelimit-policy: "login";q=5;w=900
            ratelimit: "login";r=0;t=800
            x-request-id: 01a3185d-d6a0-7d2c-875a-68e2ac651ce0

            {
              "code": "rate_limited",
              "detail": "Try again after the time in `Retry-After`.",
              "request_id": "01a3185d-d6a0-7d2c-875a-68e2ac651ce0",
              "status": 429,
              "title": "Too many attempts",
              "type": "/problems/rate_limited"
            }
            "#);
        }
        let elsewhere = login_from(&app, "203.0.113.8", "ada@example.org", PASSWORD);
        assert_eq!(elsewhere.await.status, 200);
        app.step(seconds(799));
        assert_eq!(app.login("ada@example.org", PASSWORD).await.status, 429);
        app.step(seconds(1));
        let answer = app.login("ada@example.org", "wrong").await;
        assert_eq!(answer.header("ratelimit"), Some(r#""login";r=4;t=900"#));
    }
}

#[tokio::test]
async fn a_right_password_gives_its_place_back() {
    for app in each(sign_ins()).await {
        app.register("ada@example.org").await;
        for _ in 0..4 {
            assert_eq!(app.login("ada@example.org", "wrong").await.status, 401);
        }
        for _ in 0..8 {
            let answer = app.login("ada@example.org", PASSWORD).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("ratelimit"), Some(r#""login";r=1;t=900"#));
        }
        assert_eq!(app.login("ada@example.org", "wrong").await.status, 401);
        assert_eq!(app.login("ada@example.org", PASSWORD).await.status, 429);
    }
}

#[tokio::test]
async fn a_right_password_of_a_disabled_account_is_no_wrong_one() {
    for app in each(sign_ins()).await {
        app.register("ada@example.org").await;
        let ada = app
            .flows
            .users(&crate::app::OPERATOR)
            .get_by_email("ada@example.org")
            .await;
        let id = ada.unwrap().unwrap().id;
        let disable = UserChange {
            disabled: Some(true),
            ..UserChange::default()
        };
        app.flows
            .users(&crate::app::OPERATOR)
            .update(id, disable)
            .await
            .unwrap();
        for _ in 0..8 {
            assert_eq!(app.login("ada@example.org", PASSWORD).await.status, 403);
        }
    }
}

#[tokio::test]
async fn of_fifty_at_once_five_are_evaluated() {
    for app in each(sign_ins()).await {
        app.register("ada@example.org").await;
        let before = app.flows.hashing().computed();
        let all = join_all((0..50).map(|_| app.login("ada@example.org", "wrong"))).await;
        assert_eq!(app.flows.hashing().computed() - before, 5);
        let count = |status| all.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(401), count(429)), (5, 45));
    }
}

#[tokio::test]
async fn of_fifty_at_two_instances_five_are_evaluated() {
    let shared = Counting::InStore;
    let limits = LimitPolicy {
        shared,
        ..sign_ins()
    };
    let one = limited(limits).await;
    let choices = Choices {
        limits,
        ..Choices::default()
    };
    let other = one.another(choices).await.unwrap();
    one.register("ada@example.org").await;
    let before = one.flows.hashing().computed();
    let all = (0..50).map(|n| {
        let app = if n % 2 == 0 { &one } else { &other };
        app.login("ada@example.org", "wrong")
    });
    let all = join_all(all).await;
    let evaluated = all.iter().filter(|answer| answer.status == 401).count();
    let computed = one.flows.hashing().computed() - before + other.flows.hashing().computed();
    assert_eq!((evaluated, computed), (5, 5));
}

#[tokio::test]
async fn forms_and_json_have_one_limit() {
    for app in each(sign_ins()).await {
        let form = || {
            app.post("/auth/login")
                .form("username=ada%40example.org&password=wrong")
        };
        for _ in 0..2 {
            assert_eq!(form().send().await.status, 400);
            assert_eq!(app.login("ada@example.org", "wrong").await.status, 401);
        }
        assert_eq!(form().send().await.status, 400);
        assert_eq!(app.login("ada@example.org", "wrong").await.status, 429);
        let answer = form().send().await;
        assert_eq!(answer.problem(), (429, "rate_limited".to_owned()));
        assert_eq!(answer.json()["error"], "slow_down");
        assert_eq!(answer.header("retry-after"), Some("900"));
    }
}

#[tokio::test]
async fn what_the_route_does_not_use_makes_no_other_key() {
    for app in each(sign_ins()).await {
        let forwarded = HeaderName::from_static("x-forwarded-for");
        for n in 0..8 {
            let body = json!({
                "email": format!("{n}@example.org"), "password": "wrong", "x": n, "ip": n, "username": n, "device": n,
            });
            let login = app.post(&format!("/auth/login?x={n}")).json(&body);
            let login = login.header(forwarded.clone(), format!("198.51.100.{n}"));
            let login = login.header(HeaderName::from_static("user-agent"), n.to_string());
            let wanted = if n < 5 { 401 } else { 429 };
            assert_eq!(login.send().await.status, wanted, "{n}");
        }
    }
}

#[tokio::test]
async fn one_subscriber_has_one_limit() {
    for app in each(sign_ins()).await {
        for n in 0..8 {
            let address = format!("2001:db8:1:2:{n}::{n}");
            let answer = login_from(&app, &address, "ada@example.org", "wrong").await;
            assert_eq!(answer.status, if n < 5 { 401 } else { 429 }, "{address}");
        }
        let neighbour = login_from(&app, "2001:db8:1:3::1", "ada@example.org", "wrong");
        assert_eq!(neighbour.await.status, 401);
        for n in 0..8 {
            let address = ["198.51.100.1", "::ffff:198.51.100.1"][n % 2];
            let answer = login_from(&app, address, "ada@example.org", "wrong").await;
            assert_eq!(answer.status, if n < 5 { 401 } else { 429 }, "{address}");
        }
    }
}

#[tokio::test]
async fn limits_say_nothing_about_who_exists() {
    let limits = LimitPolicy {
        account: GROWING,
        ..sign_ins()
    };
    for app in each(limits).await {
        app.register("ada@example.org").await;
        let mut seen = Vec::new();
        for email in ["ada@example.org", "nobody@example.org"] {
            let mut answers = Vec::new();
            for n in 0..12 {
                let address = format!("198.51.{}.{}", email.len(), n / 3);
                let answer = login_from(&app, &address, email, "wrong").await;
                let retry = answer.header("retry-after").map(str::to_owned);
                let (status, policy, left) = standing(&answer);
                answers.push((
                    status,
                    policy.map(str::to_owned),
                    left.map(str::to_owned),
                    retry,
                ));
                app.step(SignedDuration::from_millis(700));
            }
            seen.push(answers);
        }
        assert_eq!(seen[0], seen[1]);
    }
}

#[tokio::test]
async fn an_account_is_tried_ever_more_slowly_from_wherever() {
    for app in each(accounts()).await {
        app.register("ada@example.org").await;
        let mut number = 0;
        let mut wrong = async || {
            number += 1;
            let address = format!("2001:db8::{number:x}:0:0:0:1");
            // However the address is spelled.
            let email = ["ada@example.org", " ADA@example.org", "Ada@EXAMPLE.ORG\t"][number % 3];
            login_from(&app, &address, email, "wrong").await
        };
        for _ in 0..2 {
            let answer = wrong().await;
            assert_eq!(answer.status, 401);
            // Whether others try the account is not for strangers.
            assert_eq!(answer.header("ratelimit"), None);
        }
        for delay in [1, 2, 4, 4, 4] {
            let refused = wrong().await;
            assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
            assert_eq!(refused.header("retry-after"), Some(&*delay.to_string()));
            assert_eq!(refused.header("ratelimit-policy"), Some(r#""account";q=2"#));
            app.step(seconds(delay));
            assert_eq!(wrong().await.status, 401);
        }
        // No lasting lock: after the longest delay the owner is let in, and all is forgotten.
        app.step(seconds(4));
        assert_eq!(app.login("ada@example.org", PASSWORD).await.status, 200);
        for _ in 0..2 {
            assert_eq!(wrong().await.status, 401);
        }
        assert_eq!(wrong().await.status, 429);
    }
}

#[tokio::test]
async fn what_the_account_refuses_costs_the_address_nothing() {
    let limits = LimitPolicy {
        account: GROWING,
        ..sign_ins()
    };
    for app in each(limits).await {
        for _ in 0..2 {
            login_from(&app, "198.51.100.1", "ada@example.org", "wrong").await;
        }
        for _ in 0..9 {
            assert_eq!(app.login("ada@example.org", "wrong").await.status, 429);
        }
        let answer = app.login("bob@example.org", "wrong").await;
        assert_eq!(answer.header("ratelimit"), Some(r#""login";r=4;t=900"#));
    }
}

#[tokio::test]
async fn registrations() {
    let register = Some(Rule::Window {
        limit: 3,
        window: SignedDuration::from_hours(1),
    });
    let limits = LimitPolicy {
        register,
        ..LimitPolicy::default()
    };
    for app in each(limits).await {
        let register = async |email: &str, password: &str| {
            let body = json!({"email": email, "password": password});
            app.post("/auth/register").json(&body).send().await
        };
        for _ in 0..5 {
            let answer = register("ada@example.org", "short").await;
            assert_eq!(answer.status, 422);
            assert_eq!(answer.header("ratelimit"), Some(r#""register";r=3;t=3600"#));
        }
        assert_eq!(register("ada@example.org", PASSWORD).await.status, 201);
        // To find out that an address is taken costs a place.
        assert_eq!(register("ada@example.org", PASSWORD).await.status, 409);
        let answer = register("bob@example.org", PASSWORD).await;
        let wanted = (
            201,
            Some(r#""register";q=3;w=3600"#),
            Some(r#""register";r=0;t=3600"#),
        );
        assert_eq!(standing(&answer), wanted);
        for email in ["eve@example.org", "ada@example.org", "no address"] {
            let answer = register(email, PASSWORD).await;
            assert_eq!(answer.problem(), (429, "rate_limited".to_owned()));
        }
        app.step(minutes(60));
        assert_eq!(register("eve@example.org", PASSWORD).await.status, 201);
    }
}

/// Nothing was evaluated, so nothing counts.
#[tokio::test]
async fn an_outage_uses_up_no_places() {
    let app = limited(sign_ins()).await;
    app.store.close().await;
    for _ in 0..8 {
        assert_eq!(app.login("ada@example.org", "wrong").await.status, 503);
    }
    let shared = Counting::InStore;
    let app = limited(LimitPolicy {
        shared,
        ..sign_ins()
    })
    .await;
    app.store.close().await;
    for _ in 0..8 {
        assert_eq!(app.login("ada@example.org", "wrong").await.status, 503);
    }
}

#[tokio::test]
async fn a_clock_that_is_set_resets_no_limit_and_freezes_nobody() {
    let app = limited(sign_ins()).await;
    for _ in 0..5 {
        assert_eq!(app.login("ada@example.org", "wrong").await.status, 401);
    }
    app.set_clock_by(crate::app::days(40));
    assert_eq!(app.login("ada@example.org", "wrong").await.status, 429);
    app.set_clock_by(-crate::app::days(80));
    let answer = app.login("ada@example.org", "wrong").await;
    assert_eq!(answer.header("retry-after"), Some("900"));
    app.step(minutes(15));
    assert_eq!(app.login("ada@example.org", "wrong").await.status, 401);
}
