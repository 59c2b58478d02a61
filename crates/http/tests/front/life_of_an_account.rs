//! Accounts from registration to deletion, and what their changes do to sessions.

use countersign_store::UserChange;
use serde_json::json;

use crate::answer::Answer;
use crate::app::{App, PASSWORD, seconds};

const NEW: &str = "a better passphrase";

async fn change_password(app: &App, token: &str) -> Answer {
    let body = json!({"current_password": PASSWORD, "new_password": NEW});
    let change = app.post("/auth/password/change").bearer(token);
    change.json(&body).send().await
}

async fn delete(app: &App, token: &str) -> Answer {
    let body = json!({"password": PASSWORD});
    app.delete("/auth/me")
        .bearer(token)
        .json(&body)
        .send()
        .await
}

async fn set_disabled(app: &App, email: &str, disabled: bool) {
    let users = app.flows.users(&crate::app::OPERATOR);
    let user = users.get_by_email(email).await.unwrap().unwrap();
    let change = UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    };
    users.update(user.id, change).await.unwrap();
}

#[tokio::test]
async fn a_change_of_password_ends_the_other_sessions() {
    let app = App::new().await;
    let mine = app.welcome("ada@example.org").await;
    let other = app.sign_in("ada@example.org").await;
    let eve = app.welcome("eve@example.org").await;
    assert_eq!(change_password(&app, &mine.access).await.status, 204);
    app.assert_live(&mine).await;
    app.refresh(&mine.refresh).await.tokens();
    app.assert_over(&other).await;
    app.assert_live(&eve).await;
    assert_eq!(app.login("ada@example.org", PASSWORD).await.status, 401);
    assert_eq!(app.login("ada@example.org", NEW).await.status, 200);
}

#[tokio::test]
async fn a_change_of_password_with_the_old_one_again() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    assert_eq!(change_password(&app, &tokens.access).await.status, 204);
    let again = change_password(&app, &tokens.access).await;
    assert_eq!(again.problem(), (403, "invalid_credentials".to_owned()));
}

#[tokio::test]
async fn deleting_an_account_leaves_nothing_that_works() {
    let app = App::new().await;
    let mine = app.welcome("ada@example.org").await;
    let other = app.sign_in("ada@example.org").await;
    assert_eq!(delete(&app, &mine.access).await.status, 204);
    for tokens in [&mine, &other] {
        app.assert_over(tokens).await;
        let refreshed = app.refresh(&tokens.refresh).await;
        assert_eq!(
            refreshed.problem(),
            (401, "invalid_refresh_token".to_owned())
        );
    }
    assert_eq!(delete(&app, &mine.access).await.status, 401);
    let login = app.login("ada@example.org", PASSWORD).await;
    assert_eq!(login.problem(), (401, "invalid_credentials".to_owned()));
}

#[tokio::test]
async fn registering_again_revives_nothing() {
    let app = App::new().await;
    let old = app.welcome("ada@example.org").await;
    let old_id = app.me(&old.access).await.json()["id"].clone();
    assert_eq!(delete(&app, &old.access).await.status, 204);
    let new = app.welcome("ada@example.org").await;
    assert_ne!(app.me(&new.access).await.json()["id"], old_id);
    app.assert_over(&old).await;
    app.assert_live(&new).await;
    let body = json!({"refresh_token": old.refresh, "scope": "global"});
    let bye = app.post("/auth/logout").json(&body).send().await;
    assert_eq!(bye.status, 204);
    app.assert_live(&new).await;
}

#[tokio::test]
async fn a_disabled_account_is_signed_out_and_stays_so() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    set_disabled(&app, "ada@example.org", true).await;
    app.assert_over(&tokens).await;
    let wrong = app.login("ada@example.org", "wrong").await;
    assert_eq!(wrong.problem(), (401, "invalid_credentials".to_owned()));
    let right = app.login("ada@example.org", PASSWORD).await;
    assert_eq!(right.problem(), (403, "account_disabled".to_owned()));
    let taken = json!({"email": "ada@example.org", "password": PASSWORD});
    let taken = app.post("/auth/register").json(&taken).send().await;
    assert_eq!(taken.problem(), (409, "email_taken".to_owned()));
}

#[tokio::test]
async fn an_account_that_is_enabled_again_signs_in_anew() {
    let app = App::new().await;
    let old = app.welcome("ada@example.org").await;
    app.step(seconds(2));
    set_disabled(&app, "ada@example.org", true).await;
    set_disabled(&app, "ada@example.org", false).await;
    let new = app.sign_in("ada@example.org").await;
    app.assert_live(&new).await;
    app.refresh(&new.refresh).await.tokens();
    app.assert_over(&old).await;
}

#[tokio::test]
async fn a_user_who_is_signed_in_sees_the_roles_that_an_operator_gives() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let users = app.flows.users(&crate::app::OPERATOR);
    let ada = users
        .get_by_email("ada@example.org")
        .await
        .unwrap()
        .unwrap();
    let change = UserChange {
        roles: Some(vec!["editor".to_owned()]),
        ..UserChange::default()
    };
    users.update(ada.id, change).await.unwrap();
    let me = app.me(&tokens.access).await;
    assert_eq!(me.json()["roles"], json!(["editor"]));
}
