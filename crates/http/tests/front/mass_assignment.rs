//! Members that a route does not ask for are ignored, never assigned.

use serde_json::{Value, json};

use crate::app::{App, PASSWORD, minutes};

/// Everything that a user object has, and what an attacker would like it to have.
fn wishes() -> Value {
    json!({
        "id": "00000000-0000-7000-8000-000000000000",
        "email_verified": true,
        "email_verified_at": "2020-01-01T00:00:00Z",
        "roles": ["admin"],
        "role": "admin",
        "is_admin": true,
        "disabled": true,
        "disabled_at": null,
        "created_at": "2020-01-01T00:00:00Z",
        "updated_at": "2020-01-01T00:00:00Z",
        "password_hash": "x",
        "session": {"id": 1},
        "__proto__": {"roles": ["admin"]},
    })
}

#[tokio::test]
async fn in_a_registration() {
    let app = App::new().await;
    let mut body = wishes();
    body["email"] = "ada@example.org".into();
    body["password"] = PASSWORD.into();
    let wished = app.post("/auth/register").json(&body).send().await.json();
    let plain = app.register("bob@example.org").await.json();
    for member in [
        "email_verified",
        "roles",
        "disabled",
        "created_at",
        "updated_at",
        "name",
    ] {
        assert_eq!(wished[member], plain[member], "{member}");
    }
    assert_ne!(wished["id"], body["id"]);
    app.sign_in("ada@example.org").await;
}

#[tokio::test]
async fn in_a_change_of_ones_profile() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let before = app.me(&tokens.access).await.json();
    app.step(minutes(1));
    let mut body = wishes();
    body["email"] = "eve@example.org".into();
    body["password"] = "another passphrase".into();
    let change = app.patch("/auth/me").bearer(&tokens.access).json(&body);
    let after = change.send().await;
    assert_eq!(after.status, 200);
    for (member, value) in before.as_object().unwrap() {
        if member != "updated_at" {
            assert_eq!(&after.json()[member], value, "{member}");
        }
    }
    app.sign_in("ada@example.org").await;
}

#[tokio::test]
async fn in_a_sign_in_and_its_tokens() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let mut body = wishes();
    body["email"] = "ada@example.org".into();
    body["password"] = PASSWORD.into();
    body["scope"] = "admin".into();
    let answer = app.post("/auth/login").json(&body).send().await;
    assert_eq!(answer.json()["scope"], "");
    let me = app.me(&answer.tokens().access).await.json();
    assert_eq!(me["roles"], json!([]));
}
