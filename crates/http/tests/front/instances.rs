//! Two instances over one database: what one does, the other honours once it has looked.

use countersign_flows::{OpenError, Role, Rotation};
use countersign_token::Algorithm;
use serde_json::json;

use crate::app::{App, Choices, PASSWORD, minutes, seconds};

async fn two() -> (App, App) {
    let a = App::new().await;
    let b = a.another(Choices::default()).await.unwrap();
    (a, b)
}

#[tokio::test]
async fn tokens_of_one_work_on_the_other() {
    let (a, b) = two().await;
    let tokens = a.welcome("ada@example.org").await;
    b.assert_live(&tokens).await;
    let next = b.refresh(&tokens.refresh).await.tokens();
    a.assert_live(&next).await;
    let retry = a.refresh(&tokens.refresh).await.tokens();
    assert_eq!(retry.refresh, next.refresh);
}

#[tokio::test]
async fn a_sign_out() {
    let (a, b) = two().await;
    let tokens = a.welcome("ada@example.org").await;
    b.assert_live(&tokens).await;
    let bye = a.post("/auth/logout").bearer(&tokens.access).send().await;
    assert_eq!(bye.status, 204);
    b.flows.follow().await.unwrap();
    b.assert_over(&tokens).await;
}

#[tokio::test]
async fn before_it_has_looked_the_other_changes_nothing_for_a_dead_session() {
    let (a, b) = two().await;
    let tokens = a.welcome("ada@example.org").await;
    let other = a.sign_in("ada@example.org").await;
    a.post("/auth/logout").bearer(&tokens.access).send().await;
    let password = json!({"password": PASSWORD});
    let new = json!({"current_password": PASSWORD, "new_password": "a better passphrase"});
    for request in [
        b.patch("/auth/me").json(&json!({"name": "Eve"})),
        b.delete("/auth/me").json(&password),
        b.post("/auth/password/change").json(&new),
        b.post("/auth/logout").json(&json!({"scope": "global"})),
    ] {
        let answer = request.bearer(&tokens.access).send().await;
        assert_eq!(answer.problem(), (401, "session_revoked".to_owned()));
    }
    b.assert_live(&other).await;
}

#[tokio::test]
async fn a_changed_profile() {
    let (a, b) = two().await;
    let tokens = a.welcome("ada@example.org").await;
    assert_eq!(b.me(&tokens.access).await.json()["name"], json!(null));
    let change = a.patch("/auth/me").bearer(&tokens.access);
    change.json(&json!({"name": "Ada"})).send().await;
    b.flows.follow().await.unwrap();
    assert_eq!(b.me(&tokens.access).await.json()["name"], "Ada");
}

#[tokio::test]
async fn a_deleted_account() {
    let (a, b) = two().await;
    let tokens = a.welcome("ada@example.org").await;
    b.assert_live(&tokens).await;
    let delete = a.delete("/auth/me").bearer(&tokens.access);
    let delete = delete.json(&json!({"password": PASSWORD})).send().await;
    assert_eq!(delete.status, 204);
    b.flows.follow().await.unwrap();
    b.assert_over(&tokens).await;
}

#[tokio::test]
async fn a_reused_token() {
    let (a, b) = two().await;
    let first = a.welcome("ada@example.org").await;
    let second = b.refresh(&first.refresh).await.tokens();
    a.step(seconds(31));
    let reused = a.refresh(&first.refresh).await;
    assert_eq!(reused.problem(), (401, "refresh_token_reused".to_owned()));
    b.flows.follow().await.unwrap();
    b.assert_over(&second).await;
}

#[tokio::test]
async fn an_instance_that_starts_later_knows_what_ended_before() {
    let a = App::new().await;
    let tokens = a.welcome("ada@example.org").await;
    a.post("/auth/logout").bearer(&tokens.access).send().await;
    let b = a.another(Choices::default()).await.unwrap();
    b.assert_over(&tokens).await;
}

#[tokio::test]
async fn another_root_secret() {
    let a = App::new().await;
    let choices = Choices {
        root_secret: [8; 32],
        ..Choices::default()
    };
    let refused = a.another(choices).await.err();
    assert!(
        matches!(refused, Some(OpenError::OtherRootSecret)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn all_instances_share_one_first_key() {
    let (a, b) = two().await;
    let path = "/.well-known/jwks.json";
    let keys = a.get(path).send().await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    assert_eq!(b.get(path).send().await.json(), keys);
    assert_eq!(a.flows.policy().algorithm, Algorithm::EdDsa);
}

/// As in a shell that lacks what the server's environment says.
fn operator() -> Choices {
    Choices {
        role: Role::Operator,
        algorithm: Algorithm::Es256,
        access_lifetime: minutes(1),
        ..Choices::default()
    }
}

#[tokio::test]
async fn what_an_operator_ends_stays_ended_whatever_the_command_is_set_to() {
    let server = App::with(Choices {
        access_lifetime: minutes(60),
        ..Choices::default()
    });
    let server = server.await;
    let tokens = server.welcome("ada@example.org").await;
    let command = server.another(operator()).await.unwrap();
    let users = command.flows.users(&crate::app::OPERATOR);
    let user = users.get_by_email("ada@example.org").await.unwrap();
    assert_eq!(users.sign_out(user.unwrap().id).await.unwrap(), Some(1));
    // Past the lifetime that the command knows, within the one that the token has.
    for _ in 0..6 {
        server.step(minutes(9));
        server.flows.follow().await.unwrap();
        server.assert_over(&tokens).await;
    }
}

#[tokio::test]
async fn a_command_that_is_set_to_another_algorithm_changes_no_keys() {
    let server = App::new().await;
    let before = server.flows.signing_keys().await.unwrap();
    let command = server.another(operator()).await.unwrap();
    assert_eq!(server.flows.signing_keys().await.unwrap(), before);
    command
        .flows
        .rotate_keys(Rotation::Scheduled, &crate::app::OPERATOR)
        .await
        .unwrap();
    let after = server.flows.signing_keys().await.unwrap();
    assert_eq!(after.len(), 2);
    assert!(
        after.iter().all(|key| key.algorithm == "EdDSA"),
        "{after:?}"
    );
}
