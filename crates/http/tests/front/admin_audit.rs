//! `GET /admin/audit`: who may read the log, and what of it is asked for.

use countersign_domain::UserId;
use countersign_store::UserChange;
use serde_json::{Value, json};

use crate::answer::{Answer, Tokens};
use crate::app::{App, Choices, OPERATOR, PASSWORD, seconds};

const ADA: &str = "ada@example.org";
const EVE: &str = "eve@example.org";

pub(crate) async fn id_of(app: &App, email: &str) -> UserId {
    let users = app.flows.users(&OPERATOR);
    users.get_by_email(email).await.unwrap().unwrap().id
}

async fn set_roles(app: &App, email: &str, roles: &[&str]) {
    let change = UserChange {
        roles: Some(roles.iter().map(|role| (*role).to_owned()).collect()),
        ..UserChange::default()
    };
    let id = id_of(app, email).await;
    app.flows.users(&OPERATOR).update(id, change).await.unwrap();
}

/// A server with an administrator who is signed in.
pub(crate) async fn with_admin() -> (App, Tokens) {
    let app = App::new().await;
    app.register("root@example.org").await;
    set_roles(&app, "root@example.org", &["admin"]).await;
    app.step(seconds(1));
    let tokens = app.sign_in("root@example.org").await;
    (app, tokens)
}

impl App {
    /// Reads the log, after everything that waits to be written has been.
    pub(crate) async fn audit(&self, admin: &Tokens, query: &str) -> Answer {
        self.flows.flush_audit().await.unwrap();
        let path = format!("/admin/audit{query}");
        self.get(&path).bearer(&admin.access).send().await
    }

    async fn items(&self, admin: &Tokens, query: &str) -> Vec<Value> {
        let answer = self.audit(admin, query).await;
        assert_eq!(answer.status, 200, "{answer}");
        answer.json()["items"].as_array().unwrap().clone()
    }
}

/// The kinds of events, sorted: those of one moment are in no particular order.
fn kinds(items: &[Value]) -> Vec<&str> {
    let kinds = items.iter().map(|item| item["kind"].as_str().unwrap());
    let mut kinds: Vec<_> = kinds.collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test]
async fn needs_the_role() {
    let app = App::new().await;
    let anybody = app.get("/admin/audit").send().await;
    assert_eq!(anybody.problem(), (401, "missing_token".to_owned()));
    let tokens = app.welcome(ADA).await;
    let user = app.audit(&tokens, "").await;
    assert_eq!(user.problem(), (403, "forbidden".to_owned()));
    app.step(seconds(1));
    for roles in [&["Admin"][..], &["administrator", "admi"]] {
        set_roles(&app, ADA, roles).await;
        let tokens = app.sign_in(ADA).await;
        let answer = app.audit(&tokens, "").await;
        assert_eq!(answer.problem(), (403, "forbidden".to_owned()), "{roles:?}");
        app.step(seconds(1));
    }
    set_roles(&app, ADA, &["reader", "admin"]).await;
    let tokens = app.sign_in(ADA).await;
    assert_eq!(app.audit(&tokens, "").await.status, 200);
}

/// What the token says was true when it was issued. Here the news that it is out of date has not arrived.
#[tokio::test]
async fn the_role_counts_as_it_is_stored() {
    let (a, admin) = with_admin().await;
    let user = a.welcome(ADA).await;
    let b = a.another(Choices::default()).await.unwrap();
    a.step(seconds(1));
    set_roles(&a, "root@example.org", &[]).await;
    set_roles(&a, ADA, &["admin"]).await;
    let had_it = b.audit(&admin, "").await;
    assert_eq!(had_it.problem(), (403, "forbidden".to_owned()));
    assert_eq!(b.audit(&user, "").await.status, 200);
    b.flows.follow().await.unwrap();
    for tokens in [&admin, &user] {
        let answer = b.audit(tokens, "").await;
        assert_eq!(answer.problem(), (401, "token_outdated".to_owned()));
    }
    let next = b.refresh(&user.refresh).await.tokens();
    assert_eq!(b.audit(&next, "").await.status, 200);
}

#[tokio::test]
async fn an_event_says_who_from_where_and_how() {
    let (app, admin) = with_admin().await;
    app.register(ADA).await;
    let login = json!({"email": ADA, "password": "wrong"});
    let wrong = app.post("/auth/login").json(&login).from("198.51.100.9");
    let wrong = wrong
        .header(http::header::USER_AGENT, "curl/8.5.0")
        .header(http::HeaderName::from_static("x-request-id"), "the-request");
    assert_eq!(wrong.send().await.status, 401);
    let items = app.items(&admin, "?kind=login.failed").await;
    let [item] = &items[..] else {
        panic!("{items:?}")
    };
    assert_eq!(item["outcome"], "failure");
    assert_eq!(item["reason"], "invalid_credentials");
    assert_eq!(item["by"], "anybody");
    assert_eq!(item["user_id"], id_of(&app, ADA).await.to_string());
    assert_eq!(item["session_id"], Value::Null);
    assert_eq!(item["ip"], "198.51.100.9");
    assert_eq!(item["user_agent"], "curl/8.5.0");
    assert_eq!(item["request_id"], "the-request");
    assert_eq!(item["erased"], false);
    assert_eq!(item["at"], "2027-01-15T08:00:01Z");
    assert_eq!(item["position"], Value::Null);
    app.flows.seal_audit().await.unwrap();
    let items = app.items(&admin, "?kind=login.failed").await;
    assert!(items[0]["position"].as_u64().unwrap() > 0);
    assert!(app.flows.verify_audit(None).await.is_ok());
    // An unknown address leaves no trace of itself: people type passwords there.
    app.login("hunter2", "wrong").await;
    let items = app.items(&admin, "?kind=login.failed").await;
    assert_eq!(items[0]["user_id"], Value::Null);
    assert_eq!(items[0]["reason"], "invalid_credentials");
    assert!(!items[0].to_string().contains("hunter2"));
}

#[tokio::test]
async fn filters() {
    let (app, admin) = with_admin().await;
    app.step(seconds(10));
    let ada = app.welcome(ADA).await;
    app.step(seconds(10));
    app.welcome(EVE).await;
    app.login(EVE, "wrong").await;
    app.step(seconds(10));
    app.refresh(&ada.refresh).await.tokens();
    let login = json!({"email": EVE, "password": "wrong"});
    for from in ["2001:db8::1", "2001:db8::ffff:2"] {
        let wrong = app.post("/auth/login").json(&login).from(from);
        assert_eq!(wrong.send().await.status, 401);
    }
    let (id, eve) = (id_of(&app, ADA).await, id_of(&app, EVE).await);
    let items = app.items(&admin, &format!("?user_id={id}")).await;
    assert_eq!(
        kinds(&items),
        ["login.succeeded", "token.refreshed", "user.registered"]
    );
    let session = items[0]["session_id"].as_str().unwrap().to_owned();
    let items = app.items(&admin, &format!("?session_id={session}")).await;
    assert_eq!(kinds(&items), ["login.succeeded", "token.refreshed"]);
    let items = app.items(&admin, "?ip=2001:db8::abcd").await;
    assert_eq!(kinds(&items), ["login.failed"; 2]);
    assert_eq!(app.items(&admin, "?ip=192.0.2.1").await, [Value::Null; 0]);
    let from_here = app.items(&admin, "?ip=203.0.113.7").await;
    let mapped = app.items(&admin, "?ip=::ffff:203.0.113.7").await;
    assert_eq!(from_here, mapped);
    let here = kinds(&from_here);
    assert!(here.contains(&"login.succeeded") && !here.contains(&"token.refreshed"));
    let query = "?from=2027-01-15T08:00:11Z&to=2027-01-15T08:00:21Z";
    let items = app.items(&admin, query).await;
    assert_eq!(kinds(&items), ["login.succeeded", "user.registered"]);
    let query = format!("?user_id={eve}&kind=login.failed&from=2027-01-15T08:00:22Z");
    assert_eq!(app.items(&admin, &query).await.len(), 2);
    let query = format!("?user_id={eve}&kind=login.failed&ip=203.0.113.7");
    assert_eq!(app.items(&admin, &query).await.len(), 1);
    let other = format!("?user_id={eve}&session_id={session}");
    assert_eq!(app.items(&admin, &other).await, [Value::Null; 0]);
    // An offset is a time as well.
    let query = "?from=2027-01-15T09:00:11%2B01:00&to=2027-01-15T08:00:21Z";
    assert_eq!(app.items(&admin, query).await.len(), 2);
}

#[tokio::test]
async fn pages() {
    let (app, admin) = with_admin().await;
    for n in 0..7 {
        app.login(ADA, "wrong").await;
        if n % 3 == 2 {
            app.step(seconds(1));
        }
    }
    let all = app.items(&admin, "?kind=login.failed").await;
    assert_eq!(all.len(), 7);
    let times: Vec<_> = all.iter().map(|item| item["at"].to_string()).collect();
    assert!(
        times.is_sorted_by(|newer, older| newer >= older),
        "{times:?}"
    );
    for limit in [1, 2, 3, 7, 200] {
        let mut found = Vec::new();
        let mut query = format!("?kind=login.failed&limit={limit}");
        loop {
            let page = app.audit(&admin, &query).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            found.extend(items.iter().cloned());
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            assert_eq!(items.len(), limit);
            query = format!("?kind=login.failed&limit={limit}&cursor={cursor}");
        }
        assert_eq!(found, all, "by {limit}");
    }
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let (app, admin) = with_admin().await;
    for (query, field, code) in [
        ("user_id=7", "user_id", "id_invalid"),
        ("user_id=", "user_id", "id_invalid"),
        ("session_id=ada@example.org", "session_id", "id_invalid"),
        ("kind=login", "kind", "kind_invalid"),
        ("kind=LOGIN.FAILED", "kind", "kind_invalid"),
        ("ip=localhost", "ip", "ip_invalid"),
        ("ip=192.0.2.0/24", "ip", "ip_invalid"),
        ("from=yesterday", "from", "time_invalid"),
        ("from=2027-01-15", "from", "time_invalid"),
        ("to=1969-12-31T23:59:59Z", "to", "time_invalid"),
        ("to=%2B10000-01-01T00:00:00Z", "to", "time_invalid"),
        ("limit=0", "limit", "out_of_range"),
        ("limit=201", "limit", "out_of_range"),
        ("limit=-1", "limit", "out_of_range"),
        ("cursor=next", "cursor", "cursor_invalid"),
    ] {
        let answer = app.audit(&admin, &format!("?{query}")).await;
        let expected = (422, "validation_failed".to_owned());
        assert_eq!(answer.problem(), expected, "{query}");
        let errors = answer.json()["errors"].clone();
        let named = (&errors[0]["field"], &errors[0]["code"]);
        assert_eq!(named, (&json!(field), &json!(code)), "{query}");
        assert_eq!(errors.as_array().unwrap().len(), 1);
    }
    let answer = app.audit(&admin, "?limit=0&kind=x&ip=y").await;
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn of_an_erased_user_only_the_bare_events_are_left() {
    let (app, admin) = with_admin().await;
    let tokens = app.welcome(ADA).await;
    app.login(ADA, "wrong").await;
    app.refresh(&tokens.refresh).await.tokens();
    let id = id_of(&app, ADA).await;
    let query = format!("?user_id={id}");
    let before = app.items(&admin, &query).await;
    assert!(before.iter().all(|item| item["ip"] == "203.0.113.7"));
    let delete = app.delete("/auth/me").bearer(&tokens.access);
    let delete = delete.json(&json!({"password": PASSWORD})).send().await;
    assert_eq!(delete.status, 204);
    app.flows.seal_audit().await.unwrap();
    let after = app.items(&admin, &query).await;
    let expected = [
        "login.failed",
        "login.succeeded",
        "token.refreshed",
        "user.deleted",
        "user.registered",
    ];
    assert_eq!(kinds(&after), expected);
    for item in &after {
        assert_eq!(item["erased"], true, "{item}");
        for member in ["ip", "user_agent", "request_id"] {
            assert_eq!(item[member], Value::Null, "{item}");
        }
    }
    let from_there = app.items(&admin, "?ip=203.0.113.7").await;
    let of_others = from_there
        .iter()
        .all(|item| item["user_id"] != id.to_string());
    assert!(of_others && !from_there.is_empty());
    assert!(app.flows.verify_audit(None).await.is_ok());
}
