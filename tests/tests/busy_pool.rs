//! All connections of an instance wait for the database, and yet it hears of a sign-out elsewhere in time.

use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Backend, Setup, within_a_second};
use sqlx::{Connection, PgConnection};

const PASSWORD: &str = "correct horse battery";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_is_heard_of_while_every_connection_waits() {
    let first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .start()
        .await;
    let second = first.sibling().await;
    let (a, b) = (first.api(), second.api());
    let session = a.new_session("ada@example.com", PASSWORD).await;
    b.me(&session.access).await.expect(200);
    let mut locker = PgConnection::connect(&first.database.url()).await.unwrap();
    // Who signs Bob in waits for his row.
    a.register("bob@example.com", PASSWORD).await.expect(201);
    sqlx::raw_sql("BEGIN; SELECT id FROM users WHERE email = 'bob@example.com' FOR UPDATE")
        .execute(&mut locker)
        .await
        .unwrap();
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let b = b.clone();
            tokio::spawn(async move { b.login("bob@example.com", PASSWORD).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    a.logout(&session.refresh).await.expect(204);
    within_a_second("a sign-out", async || {
        b.me(&session.access).await.status == 401
    })
    .await;
    for one in waiting {
        assert_eq!(one.await.unwrap().status, 503);
    }
}
