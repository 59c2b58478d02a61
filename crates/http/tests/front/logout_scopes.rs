//! What a sign-out ends: this session, all of them, or all the others.

use serde_json::json;

use crate::answer::{Answer, Tokens};
use crate::app::{App, days, minutes, seconds};

/// Two sessions of Ada's, and one of somebody else's that nothing here may touch.
struct Three {
    app: App,
    mine: Tokens,
    other: Tokens,
    eve: Tokens,
}

async fn three() -> Three {
    let app = App::new().await;
    Three {
        mine: app.welcome("ada@example.org").await,
        other: app.sign_in("ada@example.org").await,
        eve: app.welcome("eve@example.org").await,
        app,
    }
}

impl Three {
    async fn by_access_token(&self, scope: &str) -> Answer {
        let bye = self.app.post("/auth/logout").bearer(&self.mine.access);
        bye.json(&json!({"scope": scope})).send().await
    }

    async fn by_refresh_token(&self, refresh: &str, scope: &str) -> Answer {
        let body = json!({"refresh_token": refresh, "scope": scope});
        self.app.post("/auth/logout").json(&body).send().await
    }

    async fn assert_live(&self, mine: bool, other: bool) {
        for (tokens, live) in [(&self.mine, mine), (&self.other, other), (&self.eve, true)] {
            match live {
                true => self.app.assert_live(tokens).await,
                false => self.app.assert_over(tokens).await,
            }
        }
    }
}

#[tokio::test]
async fn by_access_token() {
    for (scope, mine, other) in [
        ("local", false, true),
        ("global", false, false),
        ("others", true, false),
    ] {
        let three = three().await;
        assert_eq!(three.by_access_token(scope).await.status, 204);
        three.assert_live(mine, other).await;
        let again = three.by_access_token(scope).await;
        match mine {
            true => assert_eq!(again.status, 204),
            false => assert_eq!(again.problem(), (401, "session_revoked".to_owned())),
        }
        three.assert_live(mine, other).await;
    }
}

#[tokio::test]
async fn by_refresh_token() {
    for (scope, mine, other) in [
        ("local", false, true),
        ("global", false, false),
        ("others", true, false),
    ] {
        let three = three().await;
        for _ in 0..2 {
            let bye = three.by_refresh_token(&three.mine.refresh, scope).await;
            assert_eq!(bye.status, 204, "{scope}");
            three.assert_live(mine, other).await;
        }
    }
}

#[tokio::test]
async fn a_refresh_token_is_enough_when_the_access_token_has_expired() {
    let three = three().await;
    three.app.step(minutes(20));
    let late = three.by_access_token("local").await;
    assert_eq!(late.problem(), (401, "token_expired".to_owned()));
    let body = json!({"refresh_token": three.mine.refresh});
    let bye = three.app.post("/auth/logout").bearer(&three.mine.access);
    assert_eq!(bye.json(&body).send().await.status, 204);
    let answer = three.app.refresh(&three.mine.refresh).await;
    assert_eq!(answer.problem(), (401, "session_revoked".to_owned()));
    three.app.refresh(&three.other.refresh).await.tokens();
}

#[tokio::test]
async fn where_both_tokens_are_sent_the_refresh_token_counts() {
    let three = three().await;
    let body = json!({"refresh_token": three.mine.refresh});
    let bye = three.app.post("/auth/logout").bearer(&three.eve.access);
    assert_eq!(bye.json(&body).send().await.status, 204);
    three.assert_live(false, true).await;
}

#[tokio::test]
async fn tokens_of_a_dead_session_end_nothing() {
    for scope in ["global", "others"] {
        let three = three().await;
        assert_eq!(three.by_access_token("local").await.status, 204);
        let refused = (401, "session_revoked".to_owned());
        let by_refresh = three.by_refresh_token(&three.mine.refresh, scope).await;
        assert_eq!(by_refresh.problem(), refused);
        assert_eq!(three.by_access_token(scope).await.problem(), refused);
        three.assert_live(false, true).await;
    }
}

#[tokio::test]
async fn a_token_of_an_expired_session_ends_nothing() {
    let three = three().await;
    three.app.step(days(30));
    let fresh = three.app.sign_in("ada@example.org").await;
    let late = three.by_refresh_token(&three.mine.refresh, "global").await;
    assert_eq!(late.problem(), (401, "session_expired".to_owned()));
    three.app.assert_live(&fresh).await;
}

#[tokio::test]
async fn a_token_that_was_used_ends_its_own_session_and_no_other() {
    for scope in ["global", "others"] {
        let three = three().await;
        let next = three.app.refresh(&three.mine.refresh).await.tokens();
        three.app.step(seconds(31));
        let answer = three.by_refresh_token(&three.mine.refresh, scope).await;
        assert_eq!(answer.problem(), (401, "refresh_token_reused".to_owned()));
        three.assert_live(false, true).await;
        three.app.assert_over(&next).await;
    }
}

#[tokio::test]
async fn a_token_that_was_used_may_end_its_own_session() {
    let three = three().await;
    let next = three.app.refresh(&three.mine.refresh).await.tokens();
    three.app.step(seconds(31));
    let bye = three.by_refresh_token(&three.mine.refresh, "local").await;
    assert_eq!(bye.status, 204);
    three.app.assert_over(&next).await;
    three.assert_live(false, true).await;
}
