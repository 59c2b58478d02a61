//! Removing what is over: what goes, what stays, and who does it.

use crate::app::{App, Choices, days, minutes};

const EMAIL: &str = "ada@example.org";

#[tokio::test]
async fn an_ended_session_is_remembered_for_a_week() {
    let app = App::new().await;
    let ended = app.welcome(EMAIL).await;
    let live = app.sign_in(EMAIL).await;
    app.post("/auth/logout").bearer(&ended.access).send().await;
    app.step(days(7));
    // Only the announcements are over: of the first key, and of the session's end.
    assert_eq!(app.flows.sweep().await.unwrap(), 2);
    let refused = app.refresh(&ended.refresh).await;
    assert_eq!(refused.problem(), (401, "session_revoked".to_owned()));
    app.step(minutes(10));
    assert_eq!(app.flows.sweep().await.unwrap(), 1);
    let refused = app.refresh(&ended.refresh).await;
    assert_eq!(refused.problem(), (401, "invalid_refresh_token".to_owned()));
    assert_eq!(app.refresh(&live.refresh).await.status, 200);
}

#[tokio::test]
async fn a_clock_that_is_ahead_for_a_while_costs_no_sessions() {
    let app = App::new().await;
    let tokens = app.welcome(EMAIL).await;
    app.set_clock_by(days(400));
    assert_eq!(app.flows.sweep().await.unwrap(), 0);
    app.set_clock_by(-days(400));
    assert_eq!(app.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn one_instance_does_it_for_all() {
    let a = App::new().await;
    let b = a.another(Choices::default()).await.unwrap();
    let tokens = a.welcome(EMAIL).await;
    assert_eq!(a.flows.sweep().await.unwrap(), 0);
    a.post("/auth/logout").bearer(&tokens.access).send().await;
    a.step(minutes(4));
    assert_eq!(b.flows.sweep().await.unwrap(), 0);
    a.step(days(8));
    // The first has not been seen since, so the second takes over.
    assert_eq!(b.flows.sweep().await.unwrap(), 3);
    assert_eq!(a.flows.sweep().await.unwrap(), 0);
}
