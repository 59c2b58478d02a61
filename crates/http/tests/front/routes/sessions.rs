use http::header::USER_AGENT;
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::app::{App, PASSWORD, seconds};

async fn list(app: &App, token: &str, query: &str) -> Answer {
    let path = format!("/auth/sessions{query}");
    app.get(&path).bearer(token).send().await
}

#[tokio::test]
async fn one_from_a_browser_and_the_current_one() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    let login = app.post("/auth/login").json(&body);
    login.header(USER_AGENT, "Mozilla/5.0 (X11)").send().await;
    app.step(seconds(1));
    let tokens = app.sign_in("ada@example.org").await;
    app.step(seconds(1));
    app.refresh(&tokens.refresh).await;
    assert_snapshot!(list(&app, &tokens.access, "").await, @r#"
    200 OK
    content-type: application/json
    cache-control: no-store
    x-request-id: 01a3185c-57d0-77cd-9b44-4516330b8a77

    {
      "items": [
        {
          "created_at": "2027-01-15T08:00:01Z",
          "current": true,
          "expires_at": "2027-02-14T08:00:02Z",
          "id": "cd8f54d1-0efd-417e-ac06-f33e6310841f",
          "ip": "203.0.113.7",
          "last_used_at": "2027-01-15T08:00:02Z",
          "user_agent": null
        },
        {
          "created_at": "2027-01-15T08:00:00Z",
          "current": false,
          "expires_at": "2027-02-14T08:00:00Z",
          "id": "630bfdb7-a6a6-44a5-b1aa-2b57dad0bad0",
          "ip": "203.0.113.7",
          "last_used_at": "2027-01-15T08:00:00Z",
          "user_agent": "Mozilla/5.0 (X11)"
        }
      ],
      "next_cursor": null
    }
    "#);
}

#[tokio::test]
async fn pages_show_every_session_once_newest_first() {
    let app = App::new().await;
    app.register("ada@example.org").await;
    let mut tokens = Vec::new();
    for number in 0..7 {
        tokens.push(app.sign_in("ada@example.org").await);
        // Some at the same moment, where only their ids put them in order.
        app.step(seconds(number % 2));
    }
    let access = &tokens[0].access;
    let whole = list(&app, access, "").await.json();
    assert_eq!(whole["items"].as_array().unwrap().len(), 7);
    assert_eq!(whole["next_cursor"], Value::Null);
    for size in 1..=7 {
        let mut seen = Vec::new();
        let mut query = format!("?limit={size}");
        loop {
            let page = list(&app, access, &query).await.json();
            let items = page["items"].as_array().unwrap().clone();
            assert!((1..=size).contains(&items.len()));
            seen.extend(items);
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit={size}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(Value::from(seen), whole["items"], "{size}");
    }
}

#[tokio::test]
async fn a_cursor_of_somebody_else_shows_only_ones_own() {
    let app = App::new().await;
    app.welcome("eve@example.org").await;
    let eve = app.sign_in("eve@example.org").await;
    let page = list(&app, &eve.access, "?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    app.step(seconds(-5));
    let ada = app.welcome("ada@example.org").await;
    app.step(seconds(5));
    let page = list(&app, &ada.access, &format!("?cursor={cursor}")).await;
    let items = page.json()["items"].as_array().unwrap().clone();
    assert_eq!(
        (items.len(), &items[0]["current"]),
        (1, &json!(true)),
        "{page}"
    );
}

#[tokio::test]
async fn pages_that_cannot_be() {
    let app = App::new().await;
    let tokens = app.welcome("ada@example.org").await;
    let query = "?limit=0&cursor=x";
    assert_snapshot!(list(&app, &tokens.access, query).await, @r#"
    422 Unprocessable Entity
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-7e89-af30-963784ae0865

    {
      "code": "validation_failed",
      "detail": "`limit`: must be a number from 1 to 200; `cursor`: must be a `next_cursor` of this list",
      "errors": [
        {
          "code": "out_of_range",
          "detail": "must be a number from 1 to 200",
          "field": "limit"
        },
        {
          "code": "cursor_invalid",
          "detail": "must be a `next_cursor` of this list",
          "field": "cursor"
        }
      ],
      "request_id": "01a3185c-5000-7e89-af30-963784ae0865",
      "status": 422,
      "title": "Some fields are not valid",
      "type": "/problems/validation_failed"
    }
    "#);
    for query in [
        "?limit=201",
        "?limit=-1",
        "?limit=x",
        "?limit=",
        "?limit=99999999999",
        "?cursor=",
        // A time before 1970.
        "?cursor=gAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let answer = list(&app, &tokens.access, query).await;
        assert_eq!(
            answer.problem(),
            (422, "validation_failed".to_owned()),
            "{query}"
        );
    }
    for query in ["?limit=1&limit=2", "?limit=%ff"] {
        let answer = list(&app, &tokens.access, query).await;
        assert_eq!(
            answer.problem(),
            (400, "malformed_request".to_owned()),
            "{query}"
        );
    }
    assert_eq!(
        list(&app, &tokens.access, "?limit=200&other=1")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn ending_one_and_again() {
    let app = App::new().await;
    let other = app.welcome("ada@example.org").await;
    let id = list(&app, &other.access, "").await.json()["items"][0]["id"].clone();
    let tokens = app.sign_in("ada@example.org").await;
    let path = format!("/auth/sessions/{}", id.as_str().unwrap());
    let ended = app.delete(&path).bearer(&tokens.access).send().await;
    assert_snapshot!(ended, @"
    204 No Content
    cache-control: no-store
    x-request-id: 01a3185c-5000-7571-8a86-a71cf983abf7
    ");
    app.assert_over(&other).await;
    app.assert_live(&tokens).await;
    let again = app.delete(&path).bearer(&tokens.access).send().await;
    assert_eq!(again.status, 204);
    let left = list(&app, &tokens.access, "").await.json();
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn ending_what_is_not_ones_own() {
    let app = App::new().await;
    let ada = app.welcome("ada@example.org").await;
    let eve = app.welcome("eve@example.org").await;
    let id = list(&app, &ada.access, "").await.json()["items"][0]["id"].clone();
    let path = format!("/auth/sessions/{}", id.as_str().unwrap());
    let foreign = app.delete(&path).bearer(&eve.access).send().await;
    assert_snapshot!(foreign, @r#"
    404 Not Found
    content-type: application/problem+json
    cache-control: no-store
    x-request-id: 01a3185c-5000-75e0-8b5e-44022e8bc153

    {
      "code": "session_not_found",
      "detail": "None of your sessions has this id.",
      "request_id": "01a3185c-5000-75e0-8b5e-44022e8bc153",
      "status": 404,
      "title": "There is no such session",
      "type": "/problems/session_not_found"
    }
    "#);
    app.assert_live(&ada).await;
    for id in [
        "x",
        "00000000-0000-0000-0000-000000000000",
        "%00",
        "%ff",
        "..",
        "a%2fb",
    ] {
        let path = format!("/auth/sessions/{id}");
        let answer = app.delete(&path).bearer(&eve.access).send().await;
        assert_eq!(
            answer.problem(),
            (404, "session_not_found".to_owned()),
            "{id}"
        );
    }
}
