//! Known devices: whoever attacks an account does not lock out its owner.

use countersign_domain::limits::Rule;
use countersign_flows::LimitPolicy;
use http::HeaderName;
use http::header::COOKIE;
use jiff::SignedDuration;
use serde_json::json;

use crate::answer::Answer;
use crate::app::{App, Choices, PASSWORD, days};
use crate::limits::FIVE;

const DEVICE: HeaderName = HeaderName::from_static("countersign-device");
const ADA: &str = "ada@example.org";

fn limits() -> LimitPolicy {
    LimitPolicy {
        login: FIVE,
        account: Some(Rule::Backoff {
            free: 2,
            first: SignedDuration::from_mins(5),
            longest: SignedDuration::from_mins(5),
            forget: SignedDuration::from_hours(24),
        }),
        ..LimitPolicy::default()
    }
}

/// An app with a user, and the token of the device on which the user has signed in.
async fn known() -> (App, String) {
    let choices = Choices {
        limits: limits(),
        ..Choices::default()
    };
    let app = App::with(choices).await;
    app.register(ADA).await;
    let device = device(&app.login(ADA, PASSWORD).await);
    (app, device)
}

fn device(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer}");
    answer.header("countersign-device").unwrap().to_owned()
}

/// Signs in from the device, which is behind the same address as everybody else here.
async fn login_on(app: &App, device: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    let login = app.post("/auth/login").header(DEVICE, device);
    login.json(&body).send().await
}

/// Uses up what strangers have, for the address and for the account.
async fn attack(app: &App, email: &str) {
    for _ in 0..9 {
        app.login(email, "wrong").await;
    }
    assert_eq!(app.login(email, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn an_attack_does_not_lock_out_the_owner() {
    let (app, token) = known().await;
    attack(&app, ADA).await;
    let answer = login_on(&app, &token, ADA, PASSWORD).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""device";r=5;t=900"#));
    // The device's next token is for the same device, and an earlier one still is.
    for token in [device(&answer), token] {
        assert_eq!(login_on(&app, &token, ADA, "wrong").await.status, 401);
    }
    let answer = login_on(&app, &device(&answer), ADA, PASSWORD).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""device";r=3;t=900"#));
}

#[tokio::test]
async fn a_device_has_a_limit_of_its_own() {
    let (app, token) = known().await;
    for _ in 0..5 {
        assert_eq!(login_on(&app, &token, ADA, "wrong").await.status, 401);
    }
    let refused = login_on(&app, &token, ADA, PASSWORD).await;
    assert_eq!(refused.problem(), (429, "rate_limited".to_owned()));
    assert_eq!(refused.header("ratelimit"), Some(r#""device";r=0;t=900"#));
    // What it did wrong counts for nobody else.
    let answer = app.login(ADA, PASSWORD).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""login";r=5;t=900"#));
}

#[tokio::test]
async fn a_token_of_somebody_else_or_of_nobody_is_ignored() {
    let (app, token) = known().await;
    app.register("eve@example.org").await;
    let eves = device(&app.login("eve@example.org", PASSWORD).await);
    attack(&app, ADA).await;
    let forged = token.replace("cs_dev_A", "cs_dev_B");
    assert_ne!(forged, token);
    let longer = format!("{token}A");
    for token in [&eves, &forged, &longer, "", "cs_dev_", &"x".repeat(5_000)] {
        let answer = login_on(&app, token, ADA, PASSWORD).await;
        assert_eq!(answer.status, 429, "{token}");
    }
    assert_eq!(login_on(&app, &token, ADA, PASSWORD).await.status, 200);
    // However the owner spells the address.
    let spelled = login_on(&app, &token, " ADA@Example.org", PASSWORD).await;
    assert_eq!(spelled.header("ratelimit"), Some(r#""device";r=5;t=900"#));
}

#[tokio::test]
async fn a_device_is_forgotten_after_400_days() {
    let (app, token) = known().await;
    app.step(days(399));
    attack(&app, ADA).await;
    assert_eq!(login_on(&app, &token, ADA, PASSWORD).await.status, 200);
    app.step(days(1));
    attack(&app, ADA).await;
    assert_eq!(login_on(&app, &token, ADA, PASSWORD).await.status, 429);
}

#[tokio::test]
async fn a_change_of_password_forgets_devices() {
    let (app, token) = known().await;
    let tokens = login_on(&app, &token, ADA, PASSWORD).await.tokens();
    let new = "a better passphrase";
    let body = json!({"current_password": PASSWORD, "new_password": new});
    let change = app.post("/auth/password/change").bearer(&tokens.access);
    assert_eq!(change.json(&body).send().await.status, 204);
    let answer = login_on(&app, &token, ADA, new).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""login";r=5;t=900"#));
    let answer = login_on(&app, &device(&answer), ADA, new).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""device";r=5;t=900"#));
}

#[tokio::test]
async fn a_replaced_hash_forgets_nothing() {
    let (app, token) = known().await;
    let choices = Choices {
        limits: limits(),
        bcrypt_cost: 5,
        ..Choices::default()
    };
    let app = app.another(choices).await.unwrap();
    let answer = login_on(&app, &token, ADA, PASSWORD).await;
    let answer = login_on(&app, &device(&answer), ADA, PASSWORD).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""device";r=5;t=900"#));
}

#[tokio::test]
async fn browsers_keep_it_as_a_cookie() {
    let (app, token) = known().await;
    let answer = login_on(&app, &token, ADA, PASSWORD).await;
    let token = device(&answer);
    let attributes = "Path=/; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax";
    let cookie = format!("__Host-cs_device={token}; {attributes}");
    assert_eq!(answer.header("set-cookie"), Some(&*cookie));
    attack(&app, ADA).await;
    let body = json!({"email": ADA, "password": PASSWORD});
    for (cookie, status) in [
        (format!("theme=dark; __Host-cs_device={token}"), 200),
        (format!("cs_device={token}"), 429),
    ] {
        let login = app.post("/auth/login").header(COOKIE, cookie).json(&body);
        assert_eq!(login.send().await.status, status);
    }
    // It opens nothing.
    let cookie = format!("__Host-cs_device={token}");
    let me = app
        .get("/auth/me")
        .header(COOKIE, cookie)
        .header(DEVICE, &token);
    assert_eq!(me.send().await.status, 401);
    assert_eq!(app.me(&token).await.status, 401);
    assert_eq!(app.refresh(&token).await.status, 401);
}

#[tokio::test]
async fn without_https_the_cookie_does_not_ask_for_it() {
    let choices = Choices {
        issuer: "http://127.0.0.1:8080",
        limits: limits(),
        ..Choices::default()
    };
    let app = App::with(choices).await;
    app.register(ADA).await;
    let answer = app.login(ADA, PASSWORD).await;
    let token = device(&answer);
    let cookie = format!("cs_device={token}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax");
    assert_eq!(answer.header("set-cookie"), Some(&*cookie));
    attack(&app, ADA).await;
    let body = json!({"email": ADA, "password": PASSWORD});
    let login = app
        .post("/auth/login")
        .header(COOKIE, format!("cs_device={token}"));
    assert_eq!(login.json(&body).send().await.status, 200);
}

#[tokio::test]
async fn whoever_does_not_sign_in_gets_no_token() {
    let (app, token) = known().await;
    for answer in [
        app.login(ADA, "wrong").await,
        login_on(&app, &token, ADA, "wrong").await,
    ] {
        assert_eq!(answer.header("countersign-device"), None);
        assert_eq!(answer.header("set-cookie"), None);
    }
}
