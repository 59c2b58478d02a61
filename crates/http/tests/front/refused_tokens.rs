//! Every 401 for a token that is genuine, and dead: its code, and the event that tells why.

use countersign_domain::EventId;
use countersign_flows::Rotation;
use countersign_store::{Audit, MAX_SESSIONS, UserChange};
use serde_json::{Value, json};

use crate::admin_audit::id_of;
use crate::answer::{Answer, Tokens};
use crate::app::{App, OPERATOR, PASSWORD, days, minutes, seconds};

const ADA: &str = "ada@example.org";

/// Asserts the code, and the kind of the event that the answer names.
async fn assert_told(app: &App, answer: &Answer, code: &str, kind: &str) {
    assert_eq!(answer.problem(), (401, code.to_owned()), "{answer}");
    assert!(answer.json()["session_id"].is_string(), "{answer}");
    app.flows.flush_audit().await.unwrap();
    let Value::String(id) = answer.json()["event_id"].clone() else {
        panic!("no event: {answer}")
    };
    let id = EventId(id.parse().unwrap());
    let event = app.store.event(id).await.unwrap();
    let event = event.unwrap_or_else(|| panic!("no such event: {answer}"));
    assert_eq!(event.row.kind, kind, "{answer}");
}

async fn set(app: &App, change: UserChange) {
    let id = id_of(app, ADA).await;
    app.flows.users(&OPERATOR).update(id, change).await.unwrap();
}

/// Ada's, and a session of hers that does things to the first.
async fn two() -> (App, Tokens, Tokens) {
    let app = App::new().await;
    let tokens = app.welcome(ADA).await;
    app.step(seconds(1));
    let other = app.sign_in(ADA).await;
    app.step(seconds(1));
    (app, tokens, other)
}

#[tokio::test]
async fn both_tokens_of_a_session_that_was_ended() {
    for kind in [
        "session.logged_out",
        "password.changed",
        "password.set",
        "user.disabled",
        "session.revoked",
        "session.all_revoked",
        "login.succeeded",
    ] {
        let (app, tokens, other) = two().await;
        let users = app.flows.users(&OPERATOR);
        let id = id_of(&app, ADA).await;
        match kind {
            "session.logged_out" => {
                let bye = app.post("/auth/logout").bearer(&other.access);
                bye.json(&json!({"scope": "others"})).send().await;
            }
            "password.changed" => {
                let new =
                    json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
                let change = app.post("/auth/password/change").bearer(&other.access);
                assert_eq!(change.json(&new).send().await.status, 204);
            }
            "password.set" => users.set_password(id, "a better passphrase").await.unwrap(),
            "user.disabled" => {
                let disabled = Some(true);
                set(
                    &app,
                    UserChange {
                        disabled,
                        ..UserChange::default()
                    },
                )
                .await;
            }
            "session.revoked" => {
                let sessions = app.flows.sessions(id, None, 9).await.unwrap().items;
                let oldest = sessions.last().unwrap().id;
                app.flows.end_any_session(oldest, &OPERATOR).await.unwrap();
            }
            "session.all_revoked" => drop(users.sign_out(id).await.unwrap()),
            _ => {
                for _ in 2..=MAX_SESSIONS {
                    app.sign_in(ADA).await;
                }
            }
        }
        let refreshed = app.refresh(&tokens.refresh).await;
        assert_told(&app, &refreshed, "session_revoked", kind).await;
        let me = app.me(&tokens.access).await;
        assert_told(&app, &me, "session_revoked", kind).await;
        // However often it is asked, also for a session that has been ended twice.
        let again = app.refresh(&tokens.refresh).await;
        assert_eq!(again.json()["event_id"], refreshed.json()["event_id"]);
        assert_eq!(me.json()["event_id"], refreshed.json()["event_id"]);
    }
}

#[tokio::test]
async fn an_access_token_that_has_expired_names_what_it_came_of() {
    let (app, tokens, _) = two().await;
    let next = app.refresh(&tokens.refresh).await.tokens();
    app.step(minutes(16));
    let me = app.me(&tokens.access).await;
    assert_told(&app, &me, "token_expired", "login.succeeded").await;
    let me = app.me(&next.access).await;
    assert_told(&app, &me, "token_expired", "token.refreshed").await;
}

#[tokio::test]
async fn an_access_token_that_is_out_of_date() {
    let (app, tokens, _) = two().await;
    let roles = Some(vec!["reader".to_owned()]);
    set(
        &app,
        UserChange {
            roles,
            ..UserChange::default()
        },
    )
    .await;
    let me = app.me(&tokens.access).await;
    assert_told(&app, &me, "token_outdated", "user.roles_changed").await;
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn a_session_that_has_expired() {
    let (app, tokens, _) = two().await;
    app.step(days(31));
    let first = app.refresh(&tokens.refresh).await;
    assert_told(&app, &first, "session_expired", "session.expired").await;
    let again = app.refresh(&tokens.refresh).await;
    assert_eq!(again.json()["event_id"], first.json()["event_id"]);
}

#[tokio::test]
async fn a_refresh_token_that_was_used_again() {
    let (app, tokens, _) = two().await;
    let next = app.refresh(&tokens.refresh).await.tokens();
    app.step(minutes(1));
    let kind = "session.reuse_detected";
    let first = app.refresh(&tokens.refresh).await;
    assert_told(&app, &first, "refresh_token_reused", kind).await;
    for dead in [&tokens.refresh, &next.refresh] {
        let refused = app.refresh(dead).await;
        assert_told(&app, &refused, "refresh_token_reused", kind).await;
        assert_eq!(refused.json()["event_id"], first.json()["event_id"]);
    }
    let me = app.me(&next.access).await;
    assert_told(&app, &me, "session_revoked", kind).await;
}

#[tokio::test]
async fn of_a_user_who_is_gone() {
    let (app, tokens, other) = two().await;
    let delete = app.delete("/auth/me").bearer(&other.access);
    let deleted = delete.json(&json!({"password": PASSWORD})).send().await;
    assert_eq!(deleted.status, 204);
    for tokens in [&tokens, &other] {
        let me = app.me(&tokens.access).await;
        assert_told(&app, &me, "session_revoked", "user.deleted").await;
        let refreshed = app.refresh(&tokens.refresh).await;
        assert_told(&app, &refreshed, "invalid_refresh_token", "user.deleted").await;
    }
}

#[tokio::test]
async fn after_an_emergency() {
    let (app, tokens, _) = two().await;
    app.flows
        .rotate_keys(Rotation::Emergency, &OPERATOR)
        .await
        .unwrap();
    let refreshed = app.refresh(&tokens.refresh).await;
    assert_told(&app, &refreshed, "session_revoked", "key.emergency").await;
    // Anybody could have signed this one.
    let me = app.me(&tokens.access).await;
    assert_eq!(me.problem(), (401, "invalid_token".to_owned()));
    assert_eq!(me.json()["event_id"], Value::Null);
}

/// The log remembers for longer than the table of sessions.
#[tokio::test]
async fn of_a_session_that_was_ended_long_ago() {
    let (app, tokens, _) = two().await;
    let bye = app.post("/auth/logout").bearer(&tokens.access);
    assert_eq!(bye.send().await.status, 204);
    app.step(days(8));
    app.flows.sweep().await.unwrap();
    let refreshed = app.refresh(&tokens.refresh).await;
    assert_told(
        &app,
        &refreshed,
        "invalid_refresh_token",
        "session.logged_out",
    )
    .await;
}

/// Whatever is asked for with it.
#[tokio::test]
async fn on_every_route() {
    let (app, tokens, _) = two().await;
    let bye = app.post("/auth/logout").bearer(&tokens.access);
    assert_eq!(bye.send().await.status, 204);
    let new = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    let id = "00000000-0000-4000-8000-000000000000";
    let path = format!("/auth/sessions/{id}");
    for request in [
        app.get("/auth/me"),
        app.patch("/auth/me").json(&json!({"name": "Ada"})),
        app.delete("/auth/me").json(&json!({"password": PASSWORD})),
        app.post("/auth/password/change").json(&new),
        app.get("/auth/sessions"),
        app.delete(&path),
        app.post("/auth/logout"),
        app.get("/admin/audit"),
    ] {
        let answer = request.bearer(&tokens.access).send().await;
        assert_told(&app, &answer, "session_revoked", "session.logged_out").await;
    }
}

/// Another instance that has not looked yet asks the store, and tells the same.
#[tokio::test]
async fn where_the_news_has_not_arrived() {
    let (a, tokens, _) = two().await;
    let b = a.another(crate::app::Choices::default()).await.unwrap();
    let bye = a.post("/auth/logout").bearer(&tokens.access);
    assert_eq!(bye.send().await.status, 204);
    let change = b.patch("/auth/me").json(&json!({"name": "Ada"}));
    let refused = change.bearer(&tokens.access).send().await;
    assert_told(&a, &refused, "session_revoked", "session.logged_out").await;
    let new = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    let change = b.post("/auth/password/change").json(&new);
    let refused = change.bearer(&tokens.access).send().await;
    assert_told(&a, &refused, "session_revoked", "session.logged_out").await;
}

/// Nobody learns anything from a token that was not signed here.
#[tokio::test]
async fn forged_ones_are_told_nothing() {
    let (app, tokens, _) = two().await;
    let forged = |token: &str| {
        let mut token = token.to_owned();
        let last = token.pop().unwrap();
        let middle = token.len() - 20;
        let changed = if token.as_bytes()[middle] == b'A' {
            "B"
        } else {
            "A"
        };
        token.replace_range(middle..=middle, changed);
        token.push(last);
        token
    };
    let answers = [
        app.me(&forged(&tokens.access)).await,
        app.refresh(&forged(&tokens.refresh)).await,
        app.me("").await,
        app.refresh("").await,
    ];
    for answer in answers {
        assert_eq!(answer.json()["event_id"], Value::Null, "{answer}");
        assert_eq!(answer.json()["session_id"], Value::Null, "{answer}");
    }
}
