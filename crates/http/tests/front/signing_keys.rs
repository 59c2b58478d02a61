//! Signing keys: published, used, retired; planned, in an emergency, and to another algorithm.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign_flows::Rotation;
use countersign_token::Algorithm;
use serde_json::{Value, json};

use crate::answer::Tokens;
use crate::app::{App, Choices, minutes, seconds};

const EMAIL: &str = "ada@example.org";

/// The ids of the published keys, oldest first.
async fn published(app: &App) -> Vec<String> {
    let keys = app.get("/.well-known/jwks.json").send().await.json();
    let keys = keys["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// A member of the header of an access token.
fn header(tokens: &Tokens, member: &str) -> String {
    let head = tokens.access.split('.').next().unwrap();
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    head[member].as_str().unwrap().to_owned()
}

fn of(algorithm: Algorithm) -> Choices {
    Choices {
        algorithm,
        ..Choices::default()
    }
}

#[tokio::test]
async fn a_planned_rotation_is_noticed_by_no_client() {
    let app = App::new().await;
    let early = app.welcome(EMAIL).await;
    app.step(minutes(1));
    let signs_at = app
        .flows
        .rotate_keys(Rotation::Scheduled, &crate::app::OPERATOR)
        .await
        .unwrap();
    assert_eq!(signs_at.unwrap().to_string(), "2027-01-15T08:11:00Z");
    let kids = published(&app).await;
    let [old, new] = &kids[..] else {
        panic!("{kids:?}")
    };
    app.step(minutes(10) - seconds(1));
    let late = app.sign_in(EMAIL).await;
    assert_eq!(&header(&late, "kid"), old);
    app.step(seconds(1));
    let fresh = app.sign_in(EMAIL).await;
    assert_eq!(&header(&fresh, "kid"), new);
    for tokens in [&early, &late, &fresh] {
        app.assert_live(tokens).await;
    }
    app.step(minutes(15));
    app.assert_live(&late).await;
    assert_eq!(published(&app).await, kids);
}

#[tokio::test]
async fn the_old_key_leaves_once_its_last_token_has_expired() {
    let app = App::new().await;
    let old = published(&app).await;
    app.flows
        .rotate_keys(Rotation::Scheduled, &crate::app::OPERATOR)
        .await
        .unwrap();
    // An instance with the longest lifetime that can be set may have signed with it until then.
    app.step(minutes(10 + 60));
    app.flows.follow().await.unwrap();
    assert!(published(&app).await.contains(&old[0]));
    app.step(minutes(5));
    app.flows.follow().await.unwrap();
    let left = published(&app).await;
    assert!(left.len() == 1 && left != old, "{left:?}");
}

#[tokio::test]
async fn a_rotation_reaches_the_other_instance() {
    let a = App::new().await;
    let b = a.another(Choices::default()).await.unwrap();
    a.step(minutes(1));
    a.flows
        .rotate_keys(Rotation::Scheduled, &crate::app::OPERATOR)
        .await
        .unwrap();
    b.flows.follow().await.unwrap();
    assert_eq!(published(&b).await, published(&a).await);
    a.step(minutes(10));
    let tokens = b.welcome(EMAIL).await;
    assert_eq!(header(&tokens, "kid"), published(&a).await[1]);
    a.assert_live(&tokens).await;
}

#[tokio::test]
async fn an_emergency_refuses_every_access_token_and_ends_no_session() {
    let a = App::new().await;
    let b = a.another(Choices::default()).await.unwrap();
    let tokens = a.welcome(EMAIL).await;
    b.assert_live(&tokens).await;
    let old = published(&a).await;
    a.flows
        .rotate_keys(Rotation::Emergency, &crate::app::OPERATOR)
        .await
        .unwrap();
    let refused = (401, "invalid_token".to_owned());
    assert_eq!(a.me(&tokens.access).await.problem(), refused);
    b.flows.follow().await.unwrap();
    assert_eq!(b.me(&tokens.access).await.problem(), refused);
    let new = published(&b).await;
    assert!(new.len() == 1 && new != old, "{new:?}");
    let next = b.refresh(&tokens.refresh).await.tokens();
    assert_eq!(header(&next, "kid"), new[0]);
    a.assert_live(&next).await;
    b.assert_live(&next).await;
}

#[tokio::test]
async fn from_one_algorithm_to_the_next() {
    let first = App::new().await;
    let mut tokens = vec![first.welcome(EMAIL).await];
    let mut name = "EdDSA";
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::Hs256] {
        let app = first.another(of(algorithm)).await.unwrap();
        let shared = algorithm == Algorithm::Hs256;
        if !shared {
            // Verifiers must know the new key first.
            let before = app.sign_in(EMAIL).await;
            assert_eq!(header(&before, "alg"), name);
            app.step(minutes(10));
        }
        name = algorithm.as_str();
        let after = app.sign_in(EMAIL).await;
        assert_eq!(header(&after, "alg"), name);
        tokens.push(after);
        // What was signed before the switch holds for its time, and sessions for theirs.
        let latest = &tokens[tokens.len() - 2];
        app.assert_live(latest).await;
        for tokens in &mut tokens {
            *tokens = app.refresh(&tokens.refresh).await.tokens();
            app.assert_live(tokens).await;
        }
    }
}

#[tokio::test]
async fn every_algorithm_on_a_new_installation() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
        let app = App::with(of(algorithm)).await;
        let tokens = app.welcome(EMAIL).await;
        assert_eq!(header(&tokens, "alg"), algorithm.as_str());
        assert_eq!(header(&tokens, "typ"), "at+jwt");
        assert_eq!(published(&app).await, [header(&tokens, "kid")]);
        app.assert_live(&tokens).await;
    }
}

#[tokio::test]
async fn a_shared_secret_is_never_published() {
    let app = App::with(of(Algorithm::Hs256)).await;
    let tokens = app.welcome(EMAIL).await;
    assert_eq!(header(&tokens, "alg"), "HS256");
    app.assert_live(&tokens).await;
    let keys = app.get("/.well-known/jwks.json").send().await;
    assert_eq!(keys.json(), json!({"keys": []}));
    let rotated = app
        .flows
        .rotate_keys(Rotation::Emergency, &crate::app::OPERATOR)
        .await
        .unwrap();
    assert_eq!(rotated, None);
    app.assert_live(&tokens).await;
}

#[tokio::test]
async fn a_shared_secret_takes_the_place_of_stored_keys() {
    let first = App::new().await;
    let before = first.welcome(EMAIL).await;
    let app = first.another(of(Algorithm::Hs256)).await.unwrap();
    app.assert_live(&before).await;
    assert_eq!(published(&app).await.len(), 1);
    app.step(minutes(66));
    app.flows.follow().await.unwrap();
    assert!(published(&app).await.is_empty());
}

#[tokio::test]
async fn an_emergency_under_a_shared_secret_drops_the_stored_keys() {
    let first = App::new().await;
    let before = first.welcome(EMAIL).await;
    let app = first.another(of(Algorithm::Hs256)).await.unwrap();
    app.flows
        .rotate_keys(Rotation::Emergency, &crate::app::OPERATOR)
        .await
        .unwrap();
    assert!(published(&app).await.is_empty());
    let answer = app.me(&before.access).await;
    assert_eq!(answer.problem(), (401, "invalid_token".to_owned()));
    app.refresh(&before.refresh).await.tokens();
}

#[tokio::test]
async fn no_published_key_has_a_private_part() {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256] {
        let app = App::with(of(algorithm)).await;
        let keys = app.get("/.well-known/jwks.json").send().await.json();
        let key = keys["keys"][0].as_object().unwrap().clone();
        for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            assert!(!key.contains_key(private), "{private} of {algorithm}");
        }
        assert_eq!(
            (&key["alg"], &key["use"]),
            (&json!(algorithm.as_str()), &json!("sig"))
        );
    }
}
