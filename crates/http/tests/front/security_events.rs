//! The table of security events, row by row: three sessions of Ada's and one of Eve's, and what is left of them.

use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_domain::email::Email;
use countersign_domain::security_events::{AccessTokens, Ends, SecurityEvent};
use countersign_domain::{SessionId, UserId};
use countersign_flows::Rotation;
use countersign_store::{MAX_SESSIONS, UserChange};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::answer::{Answer, Tokens};
use crate::app::{App, Choices, OPERATOR, PASSWORD, days, seconds};
use crate::hashing_room::occupy;

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";
const NEW_PASSWORD: &str = "a better passphrase";

struct Scene {
    app: App,
    ada: UserId,
    /// Ada's, oldest first. The second one acts; where an event is about one session, it is the first.
    sessions: [Tokens; 3],
    eve: Tokens,
}

/// Which of Ada's sessions acts, where one does.
const ACTING: usize = 1;

impl Scene {
    async fn new() -> Self {
        let app = App::new().await;
        let ada = app.register(ADA).await.json()["id"]
            .as_str()
            .unwrap()
            .parse();
        let eve = app.welcome(EVE).await;
        let mut sessions = Vec::new();
        for _ in 0..3 {
            app.step(SignedDuration::from_millis(5));
            sessions.push(app.sign_in(ADA).await);
        }
        // Everything below happens within one second.
        app.step(SignedDuration::from_millis(5));
        Self {
            ada: UserId(ada.unwrap()),
            sessions: sessions.try_into().unwrap(),
            eve,
            app,
        }
    }

    /// The ids of Ada's sessions, in the order of `sessions`.
    fn ids(&self) -> [Uuid; 3] {
        self.sessions.each_ref().map(session_of)
    }

    async fn update(&self, change: UserChange) {
        let users = self.app.flows.users(&OPERATOR);
        users.update(self.ada, change).await.unwrap();
    }

    async fn logout(&self, session: usize, scope: &str) -> Answer {
        let bye = self.app.post("/auth/logout");
        let bye = bye.bearer(&self.sessions[session].access);
        bye.json(&json!({"scope": scope})).send().await
    }

    /// Makes the event happen.
    async fn drive(&mut self, event: SecurityEvent) {
        let app = &self.app;
        let acting = &self.sessions[ACTING].access;
        match event {
            SecurityEvent::PasswordChanged => {
                let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
                let change = app.post("/auth/password/change").bearer(acting);
                assert_eq!(change.json(&body).send().await.status, 204);
            }
            SecurityEvent::PasswordSet => {
                let users = app.flows.users(&OPERATOR);
                users.set_password(self.ada, NEW_PASSWORD).await.unwrap();
            }
            SecurityEvent::UserDisabled => self.update(disabled(true)).await,
            SecurityEvent::UserEnabled => self.update(disabled(false)).await,
            SecurityEvent::UserDeleted => {
                let delete = app.delete("/auth/me").bearer(acting);
                let deleted = delete.json(&json!({"password": PASSWORD})).send().await;
                assert_eq!(deleted.status, 204, "{deleted}");
            }
            SecurityEvent::RolesChanged => {
                self.update(UserChange {
                    roles: Some(vec!["admin".to_owned()]),
                    ..UserChange::default()
                })
                .await;
            }
            SecurityEvent::NameChanged => {
                let change = app.patch("/auth/me").bearer(acting);
                let changed = change.json(&json!({"name": "Ada"})).send().await;
                assert_eq!(changed.status, 200, "{changed}");
            }
            SecurityEvent::EmailChanged => {
                let email = Email::parse("lovelace@example.org").unwrap();
                self.update(UserChange {
                    email: Some((email.as_typed().to_owned(), email.key().clone())),
                    ..UserChange::default()
                })
                .await;
            }
            SecurityEvent::LogoutLocal => assert_eq!(self.logout(0, "local").await.status, 204),
            SecurityEvent::LogoutGlobal => {
                assert_eq!(self.logout(ACTING, "global").await.status, 204);
            }
            SecurityEvent::LogoutOthers => {
                assert_eq!(self.logout(ACTING, "others").await.status, 204);
            }
            SecurityEvent::SessionRevoked => {
                let path = format!("/auth/sessions/{}", self.ids()[0]);
                let ended = app.delete(&path).bearer(acting).send().await;
                assert_eq!(ended.status, 204, "{ended}");
            }
            SecurityEvent::SessionRevokedByOperator => {
                let id = SessionId(self.ids()[0]);
                app.flows.end_any_session(id, &OPERATOR).await.unwrap();
            }
            SecurityEvent::SignedOutByOperator => {
                let ended = app.flows.users(&OPERATOR).sign_out(self.ada).await;
                assert_eq!(ended.unwrap(), Some(3));
            }
            SecurityEvent::ReuseDetected => {
                let used = self.sessions[0].clone();
                self.sessions[0] = app.refresh(&used.refresh).await.tokens();
                self.sessions[0] = app.refresh(&self.sessions[0].refresh).await.tokens();
                let reused = app.refresh(&used.refresh).await;
                assert_eq!(reused.problem(), (401, "refresh_token_reused".to_owned()));
            }
            SecurityEvent::TooManySessions => {
                for _ in 3..=MAX_SESSIONS {
                    app.sign_in(ADA).await;
                }
            }
            SecurityEvent::SessionExpired => {
                // The others are used in time.
                app.step(days(15));
                for session in [1, 2] {
                    let tokens = app.refresh(&self.sessions[session].refresh).await;
                    self.sessions[session] = tokens.tokens();
                }
                self.eve = app.refresh(&self.eve.refresh).await.tokens();
                app.step(days(15));
                for session in [1, 2] {
                    let tokens = app.refresh(&self.sessions[session].refresh).await;
                    self.sessions[session] = tokens.tokens();
                }
                self.eve = app.refresh(&self.eve.refresh).await.tokens();
            }
            SecurityEvent::KeyRotated => {
                let rotating = app.flows.rotate_keys(Rotation::Scheduled, &OPERATOR);
                rotating.await.unwrap();
            }
            SecurityEvent::KeyEmergency => {
                let rotating = app.flows.rotate_keys(Rotation::Emergency, &OPERATOR);
                rotating.await.unwrap();
            }
        }
    }

    /// What is left of a session that the event ended.
    async fn assert_over(&self, event: SecurityEvent, tokens: &Tokens) {
        let refreshed = self.app.refresh(&tokens.refresh).await;
        let expected = match event {
            SecurityEvent::UserDeleted => "invalid_refresh_token",
            SecurityEvent::ReuseDetected => "refresh_token_reused",
            SecurityEvent::SessionExpired => "session_expired",
            _ => "session_revoked",
        };
        assert_eq!(refreshed.problem(), (401, expected.to_owned()), "{event:?}");
        let me = self.app.me(&tokens.access).await;
        let expected = match event {
            SecurityEvent::SessionExpired => "token_expired",
            // Its key is unknown as well.
            SecurityEvent::KeyEmergency => "invalid_token",
            _ => "session_revoked",
        };
        assert_eq!(me.problem(), (401, expected.to_owned()), "{event:?}");
        for answer in [refreshed, me] {
            if answer.problem().1 == "invalid_token" {
                continue;
            }
            let id = session_of(tokens).to_string();
            assert_eq!(answer.json()["session_id"], id, "{event:?}: {answer}");
            assert!(answer.json()["event_id"].is_string(), "{event:?}: {answer}");
        }
    }

    /// What is left of a session that goes on.
    async fn assert_on(&self, event: SecurityEvent, tokens: &Tokens, outdated: bool) {
        let me = self.app.me(&tokens.access).await;
        match outdated {
            true => {
                assert_eq!(
                    me.problem(),
                    (401, "token_outdated".to_owned()),
                    "{event:?}"
                );
                let id = session_of(tokens).to_string();
                assert_eq!(me.json()["session_id"], id);
                assert!(me.json()["event_id"].is_string(), "{me}");
            }
            false => assert_eq!(me.status, 200, "{event:?}: {me}"),
        }
        // At once, in the same millisecond.
        let next = self.app.refresh(&tokens.refresh).await.tokens();
        let me = self.app.me(&next.access).await;
        assert_eq!(me.status, 200, "{event:?}: {me}");
    }
}

fn claims(tokens: &Tokens) -> Value {
    let claims = tokens.access.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn session_of(tokens: &Tokens) -> Uuid {
    claims(tokens)["sid"].as_str().unwrap().parse().unwrap()
}

fn disabled(disabled: bool) -> UserChange {
    UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    }
}

#[tokio::test]
async fn each_ends_what_the_table_says() {
    for &event in SecurityEvent::ALL {
        let mut scene = Scene::new().await;
        scene.drive(event).await;
        let outdated = event.access_tokens() == AccessTokens::Outdated;
        for (n, tokens) in scene.sessions.iter().enumerate() {
            let over = match event.ends() {
                Ends::None => false,
                Ends::One => n == 0,
                Ends::Others => n != ACTING,
                Ends::All | Ends::Everybodys => true,
            };
            match over {
                true => scene.assert_over(event, tokens).await,
                false => scene.assert_on(event, tokens, outdated).await,
            }
        }
        match event.ends() {
            Ends::Everybodys => scene.assert_over(event, &scene.eve).await,
            _ => scene.assert_on(event, &scene.eve, false).await,
        }
        // Whoever may signs in anew at once, in the same millisecond.
        let email = match event {
            SecurityEvent::UserDeleted | SecurityEvent::UserDisabled => EVE,
            SecurityEvent::EmailChanged => "lovelace@example.org",
            _ => ADA,
        };
        let password = match event {
            SecurityEvent::PasswordChanged | SecurityEvent::PasswordSet => NEW_PASSWORD,
            _ => PASSWORD,
        };
        let tokens = scene.app.login(email, password).await.tokens();
        scene.app.assert_live(&tokens).await;
    }
}

/// Enabling brings back the account, not its sessions.
#[tokio::test]
async fn what_has_ended_stays_so() {
    let mut scene = Scene::new().await;
    scene.drive(SecurityEvent::UserDisabled).await;
    scene.drive(SecurityEvent::UserEnabled).await;
    for tokens in &scene.sessions {
        scene.assert_over(SecurityEvent::UserDisabled, tokens).await;
    }
}

/// On another instance it holds once that has looked.
#[tokio::test]
async fn other_instances_follow() {
    for &event in SecurityEvent::ALL {
        let mut scene = Scene::new().await;
        let other = scene.app.another(Choices::default()).await;
        let other = other.unwrap();
        scene.drive(event).await;
        if event == SecurityEvent::SessionExpired {
            continue;
        }
        other.flows.follow().await.unwrap();
        for (n, tokens) in scene.sessions.iter().enumerate() {
            let over = match event.ends() {
                Ends::None => false,
                Ends::One => n == 0,
                Ends::Others => n != ACTING,
                Ends::All | Ends::Everybodys => true,
            };
            let outdated = event.access_tokens() == AccessTokens::Outdated;
            let me = other.me(&tokens.access).await;
            assert_eq!(me.status == 200, !over && !outdated, "{event:?} {n}: {me}");
        }
    }
}

/// A sign-in that began before the roles were taken away and ends after it: what the token says is what is true then.
#[tokio::test]
async fn roles_of_a_sign_in_are_those_of_its_end() {
    let app = App::with(Choices {
        bcrypt_cost: 12,
        hash_lanes: NonZeroUsize::MIN,
        ..Choices::default()
    });
    let app = app.await;
    let id = app.register(ADA).await.json()["id"]
        .as_str()
        .unwrap()
        .parse();
    let ada = UserId(id.unwrap());
    let users = app.flows.users(&OPERATOR);
    let roles = |roles: &[&str]| UserChange {
        roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        ..UserChange::default()
    };
    users.update(ada, roles(&["admin"])).await.unwrap();
    app.step(seconds(1));
    // The only thread is busy for a quarter of a second, and for another one with the sign-in.
    let busy = occupy(&app).await;
    let taking_away = async {
        while app.flows.figures().hashing.waiting == 0 {
            tokio::task::yield_now().await;
        }
        users.update(ada, roles(&[])).await.unwrap();
    };
    let (tokens, ()) = tokio::join!(app.sign_in(ADA), taking_away);
    assert_eq!(claims(&tokens)["roles"], json!([]));
    busy.await.unwrap();
}
