//! The audit log from outside: nothing that was acknowledged is missing from it, nothing of an erased user can be read,
//! and what somebody changes in the table is found.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use countersign_tests::random::unique;
use countersign_tests::{Answer, Api, Backend, Random, Server, on_each_backend, within_a_second};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const ROUNDS: usize = 12;
const CLIENTS: usize = 4;
/// How much is acknowledged before the server is killed.
const LONGEST_ROUND: u64 = 24;

on_each_backend!(
    acknowledged_events_survive_kill_9,
    stopping_writes_what_waits,
    nothing_of_an_erased_user_is_left,
    tampering_is_found,
    a_refused_token_leads_to_its_story
);

/// What a client was told, by the id of its request: the kind of event that must be in the log.
type Told = BTreeMap<String, &'static str>;

/// A client that signs in, fails to, changes its password and signs out, until the server is gone.
struct Client {
    random: Random,
    account: Option<(String, String)>,
    tokens: Option<(String, String)>,
    told: Told,
    /// How often any client was told something.
    count: Arc<AtomicU64>,
}

impl Client {
    async fn work(&mut self, api: &Api) {
        while self.step(api).await.is_some() {}
    }

    /// `None`: the server is gone, and may or may not have done it.
    async fn step(&mut self, api: &Api) -> Option<()> {
        let Some((email, password)) = self.account.clone() else {
            let (email, password) = (format!("{}@example.com", unique()), unique());
            let body = json!({"email": email, "password": password});
            self.send(api, "/auth/register", body, None, 201, "user.registered")
                .await?;
            (self.account, self.tokens) = (Some((email, password)), None);
            return Some(());
        };
        let login = |password: &str| json!({"email": email, "password": password});
        match (self.random.below(6), self.tokens.clone()) {
            (0, _) => {
                let body = login("wrong");
                self.send(api, "/auth/login", body, None, 401, "login.failed")
                    .await?;
            }
            (1, Some((access, _))) => {
                let new = unique();
                let body = json!({"current_password": password, "new_password": new});
                // Whether it was changed is not known if no answer comes.
                self.account = None;
                let path = "/auth/password/change";
                self.send(api, path, body, Some(&access), 204, "password.changed")
                    .await?;
                self.account = Some((email, new));
            }
            (2, Some((access, _))) => {
                let body = json!({"current_password": "wrong", "new_password": unique()});
                let path = "/auth/password/change";
                self.send(api, path, body, Some(&access), 403, "password.refused")
                    .await?;
            }
            (3, Some((_, refresh))) => {
                self.tokens = None;
                let body = json!({"refresh_token": refresh});
                self.send(api, "/auth/logout", body, None, 204, "session.logged_out")
                    .await?;
            }
            _ => {
                let body = login(&password);
                let answer = self
                    .send(api, "/auth/login", body, None, 200, "login.succeeded")
                    .await?;
                let tokens = answer.tokens();
                self.tokens = Some((tokens.access, tokens.refresh));
            }
        }
        Some(())
    }

    async fn send(
        &mut self,
        api: &Api,
        path: &str,
        body: Value,
        token: Option<&str>,
        status: u16,
        kind: &'static str,
    ) -> Option<Answer> {
        let id = format!("told-{}", unique());
        let mut request = api
            .request(Method::POST, path)
            .header("x-request-id", &id)
            .json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = Api::try_send(request).await.ok()?;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        self.told.insert(id, kind);
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(answer)
    }
}

async fn acknowledged_events_survive_kill_9(backend: Backend) {
    let mut random = Random::from_environment();
    let mut server = Server::start(backend).await;
    let count = Arc::new(AtomicU64::new(0));
    let client = |random| Client {
        count: Arc::clone(&count),
        random,
        account: None,
        tokens: None,
        told: Told::new(),
    };
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| client(random.fork())).collect();
    for _ in 0..ROUNDS {
        let enough = count.load(Ordering::Relaxed) + 6 + random.below(LONGEST_ROUND);
        let work: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                let api = server.api();
                tokio::spawn(async move {
                    client.work(&api).await;
                    client
                })
            })
            .collect();
        while count.load(Ordering::Relaxed) < enough && work.iter().any(|task| !task.is_finished())
        {
            sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        clients = Vec::new();
        for client in work {
            clients.push(client.await.expect("an answer that must not be"));
        }
        server.launch().await;
    }
    all_in_the_chain(&server).await;
    server.stop().await;
    let events = exported(&server);
    for client in &clients {
        for (id, kind) in &client.told {
            let found = events.get(id).map(String::as_str);
            assert_eq!(found, Some(*kind), "of request {id}");
        }
    }
    let told: Vec<_> = clients
        .iter()
        .flat_map(|client| client.told.values())
        .collect();
    println!("acknowledged: {}", told.len());
    for kind in [
        "user.registered",
        "login.succeeded",
        "login.failed",
        "password.changed",
        "password.refused",
        "session.logged_out",
    ] {
        assert!(told.contains(&&kind), "no {kind} was acknowledged");
    }
    server.cli(&["audit", "verify"]).expect(0);
}

/// Waits until every event has its place: who was killed still holds the lease for some seconds.
async fn all_in_the_chain(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let verified = server.cli(&["--json", "audit", "verify"]).json();
        if verified["not_in_the_chain_yet"] == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{verified}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// The kind of each event that has a request, by its id; none has two. Of a server that was stopped, so that every event
/// has its place.
fn exported(server: &Server) -> BTreeMap<String, String> {
    let exported = server.cli(&["audit", "export"]).expect(0);
    let mut events = BTreeMap::new();
    for line in exported.stdout.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| event[name].as_str().map(str::to_owned);
        if let (Some(id), Some(kind)) = (text("request_id"), text("kind")) {
            let before = events.insert(id.clone(), kind);
            assert_eq!(before, None, "two events of request {id}");
        }
    }
    events
}

async fn stopping_writes_what_waits(backend: Backend) {
    let mut server = Server::start(backend).await;
    let api = server.api();
    let mut tokens = api
        .new_session("ada@example.com", "correct horse battery")
        .await;
    let mut ids = Vec::new();
    for n in 0..20 {
        let id = format!("refresh-{n}");
        let request = api
            .request(Method::POST, "/auth/refresh")
            .header("x-request-id", &id)
            .json(&json!({"refresh_token": tokens.refresh}));
        tokens = Api::send(request).await.tokens();
        ids.push(id);
    }
    server.stop().await;
    let events = exported(&server);
    for id in &ids {
        assert_eq!(events.get(id).map(String::as_str), Some("token.refreshed"));
    }
    // Nothing waits for its place in the chain either.
    let outcome = server.cli(&["--json", "audit", "verify"]);
    let verified = outcome.expect(0).json();
    assert_eq!(verified["not_in_the_chain_yet"], 0, "{verified}");
}

const AGENT: &str = "Erasable-Agent/7.3";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 41, 63, 199);
const REQUEST: &str = "erasable-request";

async fn nothing_of_an_erased_user_is_left(backend: Backend) {
    let mut server = Server::start(backend).await;
    let (email, password) = ("erasable.person@example.com", "correct horse battery");
    let api = Api::from_address(server.base(), ADDRESS);
    let send = async |method: Method, path: &str, token: Option<&str>, body: Value| {
        let mut request = api
            .request(method, path)
            .header("user-agent", AGENT)
            .header("x-request-id", format!("{REQUEST}-{}", unique()))
            .json(&body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Api::send(request).await
    };
    let right = json!({"email": email, "password": password});
    let post = Method::POST;
    send(post.clone(), "/auth/register", None, right.clone())
        .await
        .expect(201);
    let mut tokens = send(post.clone(), "/auth/login", None, right.clone())
        .await
        .tokens();
    for _ in 0..5 {
        let wrong = json!({"email": email, "password": "wrong"});
        send(post.clone(), "/auth/login", None, wrong)
            .await
            .expect(401);
        let body = json!({"refresh_token": tokens.refresh});
        tokens = send(post.clone(), "/auth/refresh", None, body)
            .await
            .tokens();
    }
    server.stop().await;
    // The search finds what is there.
    let before = everything(&server).await;
    assert!(before.contains(AGENT));
    let mine = server.cli(&["--json", "audit", "list", "--user", email]);
    assert!(mine.stdout.contains(REQUEST) && mine.stdout.contains(&ADDRESS.to_string()));
    let id = mine.expect(0).json()["items"][0]["user_id"].clone();

    server.launch().await;
    let api = Api::from_address(server.base(), ADDRESS);
    let delete = api
        .request(Method::DELETE, "/auth/me")
        .header("user-agent", AGENT)
        .header("x-request-id", format!("{REQUEST}-last"))
        .bearer_auth(&tokens.access)
        .json(&json!({"password": password}));
    Api::send(delete).await.expect(204);
    server.stop().await;

    let raw = everything(&server).await;
    let exported = server.cli(&["audit", "export"]).expect(0);
    let id = id.as_str().expect("an id");
    let listed = server
        .cli(&["--json", "audit", "list", "--user", id])
        .expect(0);
    let left: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!(left["items"].as_array().expect("items").len(), 13);
    for text in [&raw, &exported.stdout, &listed.stdout] {
        for secret in [AGENT, REQUEST, &ADDRESS.to_string(), email] {
            assert!(!text.contains(secret), "{secret} is still there");
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(
                !text.contains(&hex),
                "{secret} is still there in hexadecimal"
            );
        }
    }
    server.cli(&["audit", "verify"]).expect(0);
}

/// All that is stored: the bytes of SQLite's files, or the rows of PostgreSQL.
async fn everything(server: &Server) -> String {
    let mut text = server.database.dump().await;
    for entry in std::fs::read_dir(server.folder()).expect("data folder") {
        let path = entry.expect("entry").path();
        if path.to_string_lossy().contains("countersign.db") {
            let bytes = std::fs::read(path).expect("file");
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    text
}

async fn tampering_is_found(backend: Backend) {
    let mut server = Server::start(backend).await;
    let api = server.api();
    api.new_session("ada@example.com", "correct horse battery")
        .await;
    for _ in 0..4 {
        api.login("ada@example.com", "wrong").await.expect(401);
    }
    server.stop().await;
    let verify = |anchor: Option<&str>| {
        let mut arguments = vec!["--json", "audit", "verify"];
        arguments.extend(anchor.iter().flat_map(|anchor| ["--anchor", anchor]));
        server.cli(&arguments)
    };
    let verified = verify(None).expect(0).json();
    let anchor = verified["anchor"].as_str().expect("an anchor").to_owned();
    verify(Some(&anchor)).expect(0);
    let exported = server.cli(&["audit", "export"]);
    let lines: Vec<Value> = exported
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (head, events) = lines.split_last().expect("lines");
    assert_eq!(
        events.len() as u64,
        verified["events"].as_u64().expect("a number")
    );
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event["position"], position);
    }
    let position = &head["head"]["position"];
    let hash = head["head"]["hash"].as_str().expect("a hash");
    assert_eq!(format!("{position}:{hash}"), anchor);

    // The wrong passwords did not happen.
    let statement = "UPDATE audit_events SET kind = 'login.succeeded' \
         WHERE kind = 'login.failed' RETURNING kind";
    server.database.texts(statement).await;
    let outcome = verify(None);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let first = events
        .iter()
        .position(|event| event["kind"] == "login.failed");
    let first = &events[first.expect("one failed")];
    let (position, id) = (&first["position"], first["id"].as_str().expect("an id"));
    let expected = format!("event {position} ({id}) was changed");
    assert!(outcome.stderr.contains(&expected), "{}", outcome.stderr);

    let statement = "DELETE FROM audit_events WHERE position > 1 RETURNING kind";
    server.database.texts(statement).await;
    let outcome = verify(None);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stderr.contains("event 2 is missing"),
        "{}",
        outcome.stderr
    );
    // Not even where the end is taken away as well can that be hidden from whoever noted it.
    server
        .database
        .texts("DELETE FROM audit_events RETURNING kind")
        .await;
    server
        .database
        .texts("DELETE FROM audit_marks RETURNING kind")
        .await;
    verify(None).expect(0);
    let outcome = verify(Some(&anchor));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
}

/// Whoever was signed out gives support what the refusal said.
async fn a_refused_token_leads_to_its_story(backend: Backend) {
    let server = Server::start(backend).await;
    let api = server.api();
    let (email, password) = (format!("{}@example.com", unique()), unique());
    let acting = api.new_session(&email, &password).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(api.login(&email, &password).await.tokens());
    }
    let refused = async |access: &str| {
        let answer = api.me(access).await.expect_problem(401, "session_revoked");
        let id = |name: &str| answer[name].as_str().unwrap().to_owned();
        (id("session_id"), id("event_id"))
    };
    let kinds = |id: &str| {
        let story = server.cli(&["session", "explain", id, "--json"]).json();
        let events = story["events"].as_array().unwrap().clone();
        let kind = |event: Value| event["kind"].as_str().unwrap().to_owned();
        (
            story["session"].as_str().unwrap().to_owned(),
            events.into_iter().map(kind).collect::<Vec<_>>(),
        )
    };

    // One ended by another: its own story, not that of the session that acted.
    let victim = others.pop().unwrap();
    let list = api.with_token(Method::GET, "/auth/sessions", &victim.access, Value::Null);
    let list = list.await.expect(200);
    let items = list["items"].as_array().unwrap();
    let id = items.iter().find(|item| item["current"] == true).unwrap()["id"].as_str();
    let id = id.unwrap().to_owned();
    let path = format!("/auth/sessions/{id}");
    api.with_token(Method::DELETE, &path, &acting.access, Value::Null)
        .await
        .expect(204);
    let (session, event) = refused(&victim.access).await;
    assert_eq!(session, id);
    for asked in [&session, &event] {
        let (of, kinds) = kinds(asked);
        assert_eq!(of, id);
        assert_eq!(kinds, ["login.succeeded", "session.revoked"]);
    }

    // Several at once: the event says which, and the session's id tells the story.
    server.cli(&["user", "disable", &email]).expect(0);
    let other = others.pop().unwrap();
    within_a_second("the end", async || {
        api.me(&other.access).await.status == 401
    })
    .await;
    let (session, event) = refused(&other.access).await;
    assert_eq!(kinds(&session).1, ["login.succeeded", "user.disabled"]);
    let several = server.cli(&["session", "explain", &event]).expect(1);
    assert!(several.stderr.contains("user.disabled") && several.stderr.contains(&session));
    let nothing = "00000000-0000-4000-8000-000000000000";
    server.cli(&["session", "explain", nothing]).expect(1);
}
