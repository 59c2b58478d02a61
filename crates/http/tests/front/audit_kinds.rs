//! Every kind of event, and the act that leaves it: there is none that nothing records.

use std::collections::BTreeMap;

use countersign_domain::SessionId;
use countersign_domain::audit::Kind;
use countersign_flows::{CreateUser, Event, EventFilter, LimitPolicy, Rotation};
use countersign_store::UserChange;
use serde_json::{Value, json};

use crate::admin_audit::id_of;
use crate::answer::Tokens;
use crate::app::{App, Choices, OPERATOR, PASSWORD, days, minutes};
use crate::limits::FIVE;

const ADA: &str = "ada@example.org";
const NEW_PASSWORD: &str = "a better passphrase";

async fn update(app: &App, change: UserChange) {
    let id = id_of(app, ADA).await;
    app.flows.users(&OPERATOR).update(id, change).await.unwrap();
}

fn disabled(disabled: bool) -> UserChange {
    UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    }
}

async fn sessions(app: &App) -> Vec<SessionId> {
    let id = id_of(app, ADA).await;
    let page = app.flows.sessions(id, None, 100).await.unwrap();
    page.items.iter().map(|session| session.id).collect()
}

/// Does what leaves an event of this kind, and answers who acted, as the event must say.
async fn drive(app: &App, tokens: &Tokens, kind: Kind) -> &'static str {
    let users = app.flows.users(&OPERATOR);
    let operator = "operator:tests";
    match kind {
        // Ada did, to begin with.
        Kind::UserRegistered => "anybody",
        Kind::LoginSucceeded => "user",
        Kind::KeyMade => "server",
        Kind::UserCreated => {
            let new = CreateUser {
                email: "new@example.org",
                ..CreateUser::default()
            };
            users.create(new).await.unwrap();
            operator
        }
        Kind::UserChanged => {
            let change = app.patch("/auth/me").bearer(&tokens.access);
            let changed = change.json(&json!({"name": "Ada"})).send().await;
            assert_eq!(changed.status, 200);
            "user"
        }
        Kind::RolesChanged => {
            let change = UserChange {
                roles: Some(vec!["reader".to_owned()]),
                ..UserChange::default()
            };
            update(app, change).await;
            operator
        }
        Kind::UserDisabled => {
            update(app, disabled(true)).await;
            operator
        }
        Kind::UserEnabled => {
            update(app, disabled(true)).await;
            update(app, disabled(false)).await;
            operator
        }
        Kind::UserDeleted => {
            let delete = app.delete("/auth/me").bearer(&tokens.access);
            let deleted = delete.json(&json!({"password": PASSWORD})).send().await;
            assert_eq!(deleted.status, 204);
            "user"
        }
        Kind::LoginFailed => {
            assert_eq!(app.login(ADA, "wrong").await.status, 401);
            "anybody"
        }
        Kind::PasswordChanged => {
            let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
            let change = app.post("/auth/password/change").bearer(&tokens.access);
            assert_eq!(change.json(&body).send().await.status, 204);
            "user"
        }
        Kind::PasswordSet => {
            let id = id_of(app, ADA).await;
            users.set_password(id, NEW_PASSWORD).await.unwrap();
            operator
        }
        Kind::PasswordRefused => {
            let delete = app.delete("/auth/me").bearer(&tokens.access);
            let refused = delete.json(&json!({"password": "wrong"})).send().await;
            assert_eq!(refused.status, 403);
            "user"
        }
        Kind::TokenRefreshed => {
            app.refresh(&tokens.refresh).await.tokens();
            "user"
        }
        Kind::ReuseDetected => {
            app.refresh(&tokens.refresh).await.tokens();
            app.step(minutes(1));
            assert_eq!(app.refresh(&tokens.refresh).await.status, 401);
            "anybody"
        }
        Kind::SessionExpired => {
            app.step(days(30));
            assert_eq!(app.refresh(&tokens.refresh).await.status, 401);
            "user"
        }
        Kind::LoggedOut => {
            let bye = app.post("/auth/logout").bearer(&tokens.access);
            assert_eq!(bye.send().await.status, 204);
            "user"
        }
        Kind::SessionRevoked => {
            app.sign_in(ADA).await;
            let other = sessions(app).await[0];
            app.flows.end_any_session(other, &OPERATOR).await.unwrap();
            operator
        }
        Kind::SessionsRevoked => {
            users.sign_out(id_of(app, ADA).await).await.unwrap();
            operator
        }
        Kind::LimitReached => {
            for _ in 0..7 {
                app.login("nobody@example.org", "wrong").await;
            }
            "anybody"
        }
        Kind::KeyRotated | Kind::KeyEmergency => {
            let rotation = match kind {
                Kind::KeyRotated => Rotation::Scheduled,
                _ => Rotation::Emergency,
            };
            app.flows.rotate_keys(rotation, &OPERATOR).await.unwrap();
            operator
        }
        Kind::ServiceKeyCreated | Kind::ServiceKeyRevoked => {
            let made = app.flows.create_service_key("api", &[], None, &OPERATOR);
            let (key, _) = made.await.unwrap();
            if kind == Kind::ServiceKeyRevoked {
                let id = key.id.to_string();
                let revoked = app.flows.revoke_service_key(&id, &OPERATOR).await;
                assert!(revoked.unwrap().is_some());
            }
            operator
        }
        Kind::ServerStarted | Kind::SettingsChanged => {
            let settings = |value: &str| BTreeMap::from([("JWT_ALGORITHM", value.to_owned())]);
            app.flows
                .record_start("1", &settings("EdDSA"))
                .await
                .unwrap();
            if kind == Kind::SettingsChanged {
                app.flows
                    .record_start("2", &settings("ES256"))
                    .await
                    .unwrap();
            }
            "server"
        }
        Kind::AuditCut => {
            app.flows.seal_audit().await.unwrap();
            app.step(days(366));
            app.flows.sweep().await.unwrap();
            "server"
        }
    }
}

async fn events(app: &App, kind: Kind) -> Vec<Event> {
    app.flows.flush_audit().await.unwrap();
    let filter = EventFilter {
        kind: Some(kind),
        ..EventFilter::default()
    };
    app.flows
        .audit_events(&filter, None, 100)
        .await
        .unwrap()
        .items
}

#[tokio::test]
async fn each_is_left_by_its_act() {
    for &kind in Kind::ALL {
        let limits = LimitPolicy {
            login: FIVE,
            ..LimitPolicy::default()
        };
        let app = App::with(Choices {
            limits,
            ..Choices::default()
        });
        let app = app.await;
        let tokens = app.welcome(ADA).await;
        let by = drive(&app, &tokens, kind).await;
        let events = events(&app, kind).await;
        let [event, ..] = &events[..] else {
            panic!("nothing has left an event of the kind {kind}")
        };
        // None is left twice, but for sign-ins and what was tried more than once.
        let often = matches!(kind, Kind::LoginSucceeded | Kind::ServerStarted);
        assert!(often || events.len() == 1, "{kind}: {events:?}");
        assert_eq!(event.row.kind, kind.as_str());
        assert_eq!(event.row.outcome, kind.outcome().as_str());
        assert_eq!(event.row.by, by, "{kind}");
        let details: Value = serde_json::from_str(&event.row.details).unwrap();
        assert!(details.is_object());
        // Nothing of what was typed.
        for secret in [ADA, PASSWORD, NEW_PASSWORD, "nobody@"] {
            assert!(!event.row.details.contains(secret), "{kind}: {details}");
        }
        app.flows.seal_audit().await.unwrap();
        let verified = app.flows.verify_audit(None).await.unwrap();
        assert_eq!(verified.unsealed, 0);
    }
}

#[tokio::test]
async fn reasons_of_failed_sign_ins() {
    let app = App::new().await;
    app.register(ADA).await;
    app.login(ADA, "wrong").await;
    app.login("nobody@example.org", "wrong").await;
    update(&app, disabled(true)).await;
    let right = app.login(ADA, PASSWORD).await;
    assert_eq!(right.problem(), (403, "account_disabled".to_owned()));
    app.login(ADA, "wrong").await;
    let events = events(&app, Kind::LoginFailed).await;
    let mut reasons: Vec<_> = events
        .iter()
        .map(|event| (event.row.reason.clone().unwrap(), event.row.user.is_some()))
        .collect();
    reasons.sort();
    let wrong = |known| ("invalid_credentials".to_owned(), known);
    let disabled = ("account_disabled".to_owned(), true);
    assert_eq!(reasons, [disabled, wrong(false), wrong(true), wrong(true)]);
}

/// However often somebody who is refused tries: the log cannot be filled by that.
#[tokio::test]
async fn a_limit_is_recorded_once_in_its_window() {
    let limits = LimitPolicy {
        login: FIVE,
        ..LimitPolicy::default()
    };
    let app = App::with(Choices {
        limits,
        ..Choices::default()
    });
    let app = app.await;
    for _ in 0..20 {
        app.login(ADA, "wrong").await;
    }
    assert_eq!(events(&app, Kind::LimitReached).await.len(), 1);
    assert_eq!(events(&app, Kind::LoginFailed).await.len(), 5);
    app.step(minutes(16));
    for _ in 0..20 {
        app.login(ADA, "wrong").await;
    }
    assert_eq!(events(&app, Kind::LimitReached).await.len(), 2);
}

/// Those that changed nothing leave nothing.
#[tokio::test]
async fn what_is_refused_before_it_is_tried_leaves_none() {
    let app = App::new().await;
    let tokens = app.welcome(ADA).await;
    let count = async || {
        app.flows.flush_audit().await.unwrap();
        let all = EventFilter::default();
        let page = app.flows.audit_events(&all, None, 200).await.unwrap();
        page.items.len()
    };
    let before = count().await;
    let taken = json!({"email": ADA, "password": PASSWORD});
    app.post("/auth/register").json(&taken).send().await;
    app.me(&tokens.access).await;
    app.me("no token").await;
    app.refresh("no token").await;
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    let change = app.post("/auth/password/change").bearer(&tokens.access);
    assert_eq!(change.json(&short).send().await.status, 422);
    let path = "/auth/sessions/00000000-0000-4000-8000-000000000000";
    app.delete(path).bearer(&tokens.access).send().await;
    app.get("/auth/sessions")
        .bearer(&tokens.access)
        .send()
        .await;
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn refreshes_can_be_left_out_and_expiries_are_recorded_once() {
    let app = App::new().await;
    let tokens = app.welcome(ADA).await;
    let next = app.refresh(&tokens.refresh).await.tokens();
    app.refresh(&tokens.refresh).await.tokens();
    let refreshed = events(&app, Kind::TokenRefreshed).await;
    let reasons: Vec<_> = refreshed.iter().map(|event| &event.row.reason).collect();
    assert_eq!(reasons.len(), 2);
    assert!(reasons.contains(&&Some("repeated".to_owned())) && reasons.contains(&&None));
    app.step(days(31));
    let other = app.another(Choices::default()).await.unwrap();
    for app in [&app, &other, &app] {
        let expired = app.refresh(&next.refresh).await;
        assert_eq!(expired.problem(), (401, "session_expired".to_owned()));
        app.flows.flush_audit().await.unwrap();
    }
    assert_eq!(events(&app, Kind::SessionExpired).await.len(), 1);
}
