//! A sign-in replaces a hash that was made with another setting.

use countersign_store::Users;

use crate::app::{App, Choices, PASSWORD};

async fn stored_hash(app: &App) -> String {
    let users = app.flows.users(&crate::app::OPERATOR);
    let ada = users
        .get_by_email("ada@example.org")
        .await
        .unwrap()
        .unwrap();
    let credentials = app.store.credentials(ada.id).await.unwrap().unwrap();
    credentials.password_hash.unwrap()
}

/// Two instances over one database, whose settings differ in the cost of bcrypt.
async fn costs_4_and_5() -> (App, App) {
    let four = App::new().await;
    let five = Choices {
        bcrypt_cost: 5,
        ..Choices::default()
    };
    let five = four.another(five).await.unwrap();
    (four, five)
}

#[tokio::test]
async fn the_hash_changes_and_the_password_does_not() {
    let (four, five) = costs_4_and_5().await;
    let before = four.welcome("ada@example.org").await;
    assert!(stored_hash(&four).await.starts_with("$2b$04$"));
    five.sign_in("ada@example.org").await;
    assert!(stored_hash(&four).await.starts_with("$2b$05$"));
    five.sign_in("ada@example.org").await;
    assert_eq!(five.login("ada@example.org", "wrong").await.status, 401);
    // The password is the same, so sessions stay.
    four.assert_live(&before).await;
    four.refresh(&before.refresh).await.tokens();
}

#[tokio::test]
async fn a_wrong_password_changes_nothing() {
    let (four, five) = costs_4_and_5().await;
    four.register("ada@example.org").await;
    let before = stored_hash(&four).await;
    assert_eq!(five.login("ada@example.org", "wrong").await.status, 401);
    assert_eq!(stored_hash(&four).await, before);
}

#[tokio::test]
async fn two_sign_ins_at_once_both_succeed() {
    let (four, five) = costs_4_and_5().await;
    four.register("ada@example.org").await;
    let (one, other) = tokio::join!(
        five.login("ada@example.org", PASSWORD),
        five.login("ada@example.org", PASSWORD)
    );
    five.assert_live(&one.tokens()).await;
    five.assert_live(&other.tokens()).await;
    assert!(stored_hash(&five).await.starts_with("$2b$05$"));
}
