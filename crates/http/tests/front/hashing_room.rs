//! Whoever has to wait for a hash, and whoever is told to come back.

use std::num::NonZeroUsize;
use std::time::Duration;

use countersign_domain::address::AddressBlock;
use countersign_domain::password::PresentedPassword;
use countersign_flows::LimitPolicy;
use serde_json::json;

use crate::app::{App, Choices, PASSWORD};
use crate::limits::FIVE;

/// One hashing thread that is busy for about a quarter of a second at a time, and a queue of `wait`.
async fn app(wait: Duration) -> App {
    let limits = LimitPolicy {
        login: FIVE,
        ..LimitPolicy::default()
    };
    let choices = Choices {
        bcrypt_cost: 12,
        hash_lanes: NonZeroUsize::MIN,
        longest_wait: wait,
        limits,
        ..Choices::default()
    };
    App::with(choices).await
}

/// Puts a task of nobody's at the front.
pub(crate) async fn occupy(app: &App) -> tokio::task::JoinHandle<()> {
    let flows = app.flows.clone();
    let task = tokio::spawn(async move {
        let somebody = PresentedPassword::new("somebody");
        let _ = flows
            .hashing()
            .check(AddressBlock::None, somebody, None)
            .await;
    });
    tokio::task::yield_now().await;
    task
}

#[tokio::test]
async fn who_is_sent_away_has_used_up_no_place() {
    let app = app(Duration::ZERO).await;
    let busy = occupy(&app).await;
    for _ in 0..8 {
        let answer = app.login("ada@example.org", PASSWORD).await;
        assert_eq!(answer.problem(), (503, "overloaded".to_owned()));
        let retry: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=5).contains(&retry), "{retry}");
        assert_eq!(answer.header("ratelimit"), None);
    }
    // Nothing was looked up either.
    let figures = app.metrics().await;
    assert!(!figures.contains("operation=\"credentials_by_email\""));
    busy.await.unwrap();
    let answer = app.login("ada@example.org", "wrong").await;
    assert_eq!(answer.problem(), (401, "invalid_credentials".to_owned()));
    assert_eq!(answer.header("ratelimit"), Some(r#""login";r=4;t=900"#));
    let figures = app.metrics().await;
    assert!(figures.contains("operation=\"credentials_by_email\""));
}

#[tokio::test]
async fn one_address_does_not_keep_others_from_being_hashed() {
    // Without limits: one address brings all it can.
    let choices = Choices {
        bcrypt_cost: 10,
        hash_lanes: NonZeroUsize::MIN,
        longest_wait: Duration::from_secs(2),
        ..Choices::default()
    };
    let app = App::with(choices).await;
    app.flows.hashing().measure().await.unwrap();
    let flood: Vec<_> = (0..200)
        .map(|_| {
            let flows = app.flows.clone();
            tokio::spawn(async move {
                let somebody = PresentedPassword::new("somebody");
                let from = AddressBlock::V4([203, 0, 113, 66]);
                flows.hashing().check(from, somebody, None).await.is_ok()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let before = app.flows.hashing().computed();
    let body = json!({"email": "ada@example.org", "password": "wrong"});
    let answer = app.post("/auth/login").json(&body).send().await;
    assert_eq!(answer.status, 401);
    // The one under way, one of theirs, and this one, give or take one that was just taken up.
    let computed = app.flows.hashing().computed() - before;
    assert!(computed <= 4, "{computed}");
    let mut served = 0;
    for task in flood {
        served += usize::from(task.await.unwrap());
    }
    assert!(0 < served && served < 200, "{served}");
}
