//! Moving house: a SQLite installation that is in use goes to PostgreSQL, and nobody is signed out.

use std::collections::HashSet;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_tests::redis::Redis;
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Answer, Api, Backend, Random, Server, Setup, Tokens};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "another battery staple";

/// Users who refresh, sign in and sign out while everything is copied.
const BUSY: usize = 8;

/// What one busy user was last told.
#[derive(Default)]
struct Known {
    /// Sessions that are live, by their newest token.
    live: Vec<Tokens>,
    /// Tokens that were replaced, of live sessions.
    superseded: Vec<String>,
    /// Tokens of sessions whose sign-out was acknowledged.
    ended: Vec<String>,
    /// Sign-outs that nobody answered: they may have happened.
    unknown: Vec<String>,
}

fn setup(backend: Backend) -> Setup {
    Setup::new(backend)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("REFRESH_GRACE_SECONDS", "0")
}

/// An empty database on the PostgreSQL of the tests, with the schema.
async fn target() -> Server {
    let target = setup(Backend::Postgres).prepare().await;
    target.cli(&["migrate"]).expect(0);
    target
}

/// `countersign store copy`, started; the target's URL comes from the environment.
fn start_copy(source: &Server, target: &Server) -> Child {
    let mut command = source.command(&["store", "copy", "--json"]);
    command.env("COPY_TO_URL", target.database.url());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("start the copy")
}

async fn finished(copy: Child) -> Value {
    let output = tokio::task::spawn_blocking(move || copy.wait_with_output());
    let output = output.await.expect("no panic").expect("output");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    serde_json::from_str(&out).expect("JSON")
}

/// Does what users do until stopped. What gets no 2xx is not believed to have happened, and not believed not to have.
async fn busy(api: Api, email: String, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> Known {
    let (mut known, mut round) = (Known::default(), 0u64);
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        if round % 7 == 1 {
            let login = json!({"email": email, "password": PASSWORD});
            let request = api.request(Method::POST, "/auth/login").json(&login);
            if let Ok(answer) = Api::try_send(request).await
                && answer.status == 200
            {
                known.live.push(answer.tokens());
            }
        } else if round % 11 == 3 && known.live.len() > 1 {
            let session = known.live.remove(0);
            let body = json!({"refresh_token": session.refresh});
            let request = api.request(Method::POST, "/auth/logout").json(&body);
            match Api::try_send(request).await.map(|answer| answer.status) {
                Ok(204) => known.ended.push(session.refresh),
                _ => known.unknown.push(session.refresh),
            }
        } else if let Some(session) = known.live.last_mut() {
            let body = json!({"refresh_token": session.refresh});
            let request = api.request(Method::POST, "/auth/refresh").json(&body);
            match Api::try_send(request).await {
                Ok(answer) if answer.status == 200 => {
                    known.superseded.push(session.refresh.clone());
                    *session = answer.tokens();
                    done.fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 503, "signed out: {}", answer.text);
                    sleep(Duration::from_millis(20)).await;
                }
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
    known
}

/// What is there before the copy begins, and must be there afterwards.
struct Before {
    idle: Tokens,
    ended: Tokens,
    changed: Tokens,
    ended_by_change: Tokens,
    device: String,
    feed: String,
}

async fn before(server: &Server) -> Before {
    let api = server.api();
    let mut idle = api.new_session("idle@example.com", PASSWORD).await;
    for _ in 0..5 {
        idle = api.refresh(&idle.refresh).await.tokens();
    }
    server
        .cli(&["user", "update", "idle@example.com", "--role", "staff"])
        .expect(0);
    sleep(Duration::from_secs(1)).await;
    idle = api.refresh(&idle.refresh).await.tokens();
    let ended = api.login("idle@example.com", PASSWORD).await.tokens();
    api.logout(&ended.refresh).await.expect(204);
    let ended_by_change = api.new_session("grace@example.com", PASSWORD).await;
    let login = api.login("grace@example.com", PASSWORD).await;
    let device = login.header("countersign-device").to_owned();
    let changed = login.tokens();
    let change = api.change_password(&changed.access, PASSWORD, OTHER).await;
    change.expect(204);
    server.cli(&["keys", "rotate"]).expect(0);
    server
        .cli(&["user", "create", "gone@example.com", "--no-password"])
        .expect(0);
    server
        .cli(&["user", "delete", "gone@example.com", "--yes"])
        .expect(0);
    Before {
        idle,
        ended,
        changed,
        ended_by_change,
        device,
        feed: server.feed_key("orders"),
    }
}

async fn check_before(server: &Server, before: Before) {
    let api = server.api();
    let me = api.me(&before.idle.access).await.expect(200);
    assert_eq!(me["roles"], json!(["staff"]));
    api.me(&before.ended.access)
        .await
        .expect_problem(401, "session_revoked");
    api.me(&before.ended_by_change.access)
        .await
        .expect_problem(401, "session_revoked");
    for ended in [&before.ended, &before.ended_by_change] {
        api.refresh(&ended.refresh)
            .await
            .expect_problem(401, "session_revoked");
    }
    let idle = api.refresh(&before.idle.refresh).await.tokens();
    api.me(&idle.access).await.expect(200);
    api.refresh(&before.changed.refresh).await.tokens();
    api.login("grace@example.com", PASSWORD).await.expect(401);
    let login = json!({"email": "grace@example.com", "password": OTHER});
    let request = api.request(Method::POST, "/auth/login").json(&login);
    let request = request.header("Countersign-Device", before.device);
    Api::send(request).await.expect(200);
    let feed = api
        .request(Method::GET, "/auth/revocations")
        .bearer_auth(&before.feed);
    assert_eq!(feed.send().await.expect("an answer").status(), 200);
    assert_eq!(
        server.cli(&["keys", "list", "--json"]).json()["items"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
}

/// Every session that was acknowledged goes on, every one that was ended stays ended, and nothing that was replaced works.
async fn check_busy(server: &Server, all: Vec<Known>) {
    let api = server.api();
    let (mut live, mut ended, mut unknown) = (0, 0, 0);
    let mut reused = HashSet::new();
    for known in all {
        for answer in refresh_all(&api, known.ended).await {
            assert_eq!(answer.status, 401, "revived: {}", answer.text);
            ended += 1;
        }
        for answer in refresh_all(&api, known.unknown).await {
            assert!([200, 401].contains(&answer.status), "{}", answer.text);
            unknown += 1;
        }
        for session in &known.live {
            api.me(&session.access).await.expect(200);
        }
        let newest = known.live.into_iter().map(|session| session.refresh);
        for answer in refresh_all(&api, newest.collect()).await {
            api.me(&answer.tokens().access).await.expect(200);
            live += 1;
        }
        if let Some(old) = known.superseded.last() {
            reused.insert(old.clone());
        }
    }
    assert!(live >= BUSY && ended > 0, "{live} live, {ended} ended");
    println!("{live} sessions live, {ended} ended, {unknown} unanswered sign-outs");
    for old in reused {
        let answer = api.refresh(&old).await;
        assert_eq!(
            answer.status, 401,
            "a superseded token works: {}",
            answer.text
        );
    }
}

/// All at once: with Redis, each that it does not know waits for half a second.
async fn refresh_all(api: &Api, tokens: Vec<String>) -> Vec<Answer> {
    let tasks = tokens.into_iter().map(|token| {
        let api = api.clone();
        tokio::spawn(async move { api.refresh(&token).await })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    answers
}

/// More than is copied in one step.
async fn many_rows(server: &Server, users: u32) {
    let sql = format!(
        "INSERT INTO users (id, email, email_key, roles, created_at, updated_at, audit_salt) \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {users}) \
         SELECT randomblob(16), 'n' || i || '@example.org', 'n' || i || '@example.org', '[]', 1, 1, randomblob(16) FROM n \
         RETURNING email"
    );
    server.database.texts(&sql).await;
    let sql = "INSERT INTO sessions (id, user_id, generation, rotated_at, created_at, last_used_at, idle_expires_at, \
        expires_at, amr, auth_time) SELECT randomblob(16), id, 3, 1, 1, 1, 4000000000000000, 4000000000000000, '[\"pwd\"]', 1 \
        FROM users WHERE created_at = 1 RETURNING 'x'";
    server.database.texts(sql).await;
}

async fn move_under_load(kills: u32, redis: Option<&Redis>) {
    let mut random = Random::from_environment();
    let mut source = setup(Backend::Sqlite);
    if let Some(redis) = redis {
        source = source.set("REDIS_URL", format!("redis://{}", redis.address()));
    }
    let mut source = source.start().await;
    let before = before(&source).await;
    many_rows(&source, if kills > 0 { 30_000 } else { 5000 }).await;
    let (stop, done) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut users = Vec::new();
    for number in 0..BUSY {
        let email = format!("busy{number}@example.com");
        source.api().register(&email, PASSWORD).await.expect(201);
        let task = busy(source.api(), email, Arc::clone(&stop), Arc::clone(&done));
        users.push(tokio::spawn(task));
    }
    sleep(Duration::from_millis(500)).await;
    let mut target = target().await;
    let (mut killed, began) = (0, Instant::now());
    let report = loop {
        let mut copy = start_copy(&source, &target);
        if killed == kills {
            break finished(copy).await;
        }
        sleep(Duration::from_millis(100 + random.below(1200))).await;
        if copy.try_wait().expect("wait").is_some() {
            break finished(copy).await;
        }
        copy.kill().expect("kill");
        copy.wait().expect("wait");
        killed += 1;
        if target.cli(&["doctor"]).code != Some(0) {
            let (code, log) = target.run_refused();
            assert_eq!(code, Some(78), "{log}");
            assert!(
                log.contains(
                    "not everything is here yet: run the same `countersign store copy` again"
                ),
                "{log}"
            );
        }
    };
    println!(
        "{killed} runs killed; moved after {:?}: {report:#}",
        began.elapsed()
    );
    assert!(done.load(Ordering::Relaxed) > 50, "there was no load");
    check_report(&report);
    check_source_is_closed(&mut source).await;
    stop.store(true, Ordering::Relaxed);
    let mut known = Vec::new();
    for user in users {
        known.push(user.await.expect("nobody is signed out"));
    }
    source.kill();
    let (code, log) = source.run_refused();
    assert_eq!(code, Some(78), "{log}");
    assert!(
        log.contains("this installation has moved to `postgres://"),
        "{log}"
    );

    if let Some(redis) = redis {
        target.set("REDIS_URL", &format!("redis://{}", redis.address()));
    }
    target.launch().await;
    check_before(&target, before).await;
    check_busy(&target, known).await;
    target.cli(&["audit", "verify"]).expect(0);
    target.api().new_session("new@example.com", PASSWORD).await;
    sleep(Duration::from_secs(1)).await;
    target.cli(&["audit", "verify"]).expect(0);
}

fn check_report(report: &Value) {
    let tables = report["tables"].as_array().expect("tables");
    assert_eq!(tables.len(), 8);
    for table in tables {
        assert_eq!(table["source_rows"], table["target_rows"], "{table}");
        assert_eq!(
            table["source_checksum"], table["target_checksum"],
            "{table}"
        );
        assert_eq!(table["source_checksum"].as_str().map(str::len), Some(64));
    }
}

/// It answers nothing but what operators ask, and that says why.
async fn check_source_is_closed(source: &mut Server) {
    let api = source.api();
    countersign_tests::within_a_second("the move", async || {
        let ready = api.get("/readyz").await;
        ready.status == 503 && ready.text.contains("has moved to another database")
    })
    .await;
    api.get("/healthz").await.expect(200);
    for path in ["/auth/me", "/.well-known/jwks.json", "/nowhere"] {
        let answer = api.get(path).await;
        answer.expect_problem(503, "unavailable");
        assert_eq!(answer.header("retry-after"), "5");
    }
    api.login("idle@example.com", PASSWORD)
        .await
        .expect_problem(503, "unavailable");
    let refused = source.cli(&["user", "create", "late@example.com", "--no-password"]);
    assert!(refused.expect(78).stderr.contains("has moved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_signed_out() {
    move_under_load(0, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_signed_out_with_the_same_redis_at_both_places() {
    let redis = Redis::start(&mut Random::from_environment(), &[]).await;
    move_under_load(0, Some(&redis)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_killed_are_gone_on_with() {
    move_under_load(8, None).await;
}

/// The command line: what it prints, what it hides, and what it exits with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line() {
    let source = setup(Backend::Sqlite).start().await;
    let session = source.api().new_session("ada@example.com", PASSWORD).await;
    let unset = source.cli(&["store", "copy"]).expect(2);
    assert!(
        unset.stderr.contains("set `COPY_TO_URL`"),
        "{}",
        unset.stderr
    );
    let away = "postgres://somebody:hunter2@127.0.0.1:1/x";
    for arguments in [
        &["store", "copy", "--to", away][..],
        &["store", "copy", "--plan", "--to", away],
    ] {
        let outcome = source.cli(arguments).expect(69);
        assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
    }
    let wrong = source
        .cli(&["store", "copy", "--to", "mysql://u:hunter2@h/x"])
        .expect(2);
    assert!(
        wrong.stderr.contains("`--to` names a kind of database"),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("hunter2"));
    let own = format!(
        "sqlite:{}",
        source.folder().join("countersign.db").display()
    );
    let same = source.cli(&["store", "copy", "--to", &own]).expect(78);
    assert!(same.stderr.contains("the same database"), "{}", same.stderr);
    let nowhere = source
        .cli(&["store", "copy", "--from", "sqlite:nowhere.db", "--to", away])
        .expect(78);
    assert!(
        nowhere
            .stderr
            .contains("there is no database at `nowhere.db`"),
        "{}",
        nowhere.stderr
    );
    assert!(!source.folder().join("nowhere.db").exists());

    let mut target = setup(Backend::Postgres).prepare().await;
    let url = target.database.url();
    let copy =
        |arguments: &[&str]| source.cli(&[&["store", "copy", "--to", &url], arguments].concat());
    let behind = copy(&["--plan"]).expect(78);
    assert!(
        behind.stderr.contains("run `countersign migrate`"),
        "{}",
        behind.stderr
    );
    target.cli(&["migrate"]).expect(0);
    let plan = copy(&["--plan"]).expect(0).stdout;
    assert!(
        plan.contains("users") && plan.contains("not copied: they belong to running processes"),
        "{plan}"
    );
    assert!(
        plan.contains("the copy begins on an empty target; nothing was changed"),
        "{plan}"
    );
    source.api().me(&session.access).await.expect(200);
    assert_eq!(
        target.database.texts("SELECT state FROM moves").await,
        [""; 0]
    );

    let copied = copy(&[]).expect(0);
    assert!(
        copied
            .stderr
            .contains("closing: the server answers 503 from now on"),
        "{}",
        copied.stderr
    );
    assert!(
        copied.stdout.contains("moved: nothing was answered for"),
        "{}",
        copied.stdout
    );
    assert_eq!(copy(&["--json"]).json()["state"], "complete_before");

    target.launch().await;
    let moved = target.api().refresh(&session.refresh).await.tokens();
    // The target's URL is asked for where there is something to be taken back.
    source.cli(&["store", "reopen"]).expect(2);
    let reopen = |yes: &[&str]| source.cli(&[&["store", "reopen", "--to", &url], yes].concat());
    sleep(Duration::from_secs(1)).await;
    let refused = reopen(&[]).expect(1);
    assert!(
        refused.stderr.contains("would be lost"),
        "{}",
        refused.stderr
    );
    reopen(&["--yes"]).expect(0);
    // No two installations are alive.
    target
        .api()
        .me(&moved.access)
        .await
        .expect_problem(503, "unavailable");
    target
        .api()
        .get("/readyz")
        .await
        .expect_problem(503, "unavailable");
    countersign_tests::within_a_second("the way back", async || {
        source.api().get("/readyz").await.status == 200
    })
    .await;
    source.api().refresh(&moved.refresh).await.tokens();
    target.kill();
    target.run_refused();
    copy(&[]).expect(0);
    target.launch().await;
    target.cli(&["audit", "verify"]).expect(0);
}

/// How long nothing is answered, by how much there is and how much changes. `cargo test … -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn downtime() {
    for users in [1000, 10_000, 100_000, 300_000] {
        let source = setup(Backend::Sqlite).start().await;
        many_rows(&source, users).await;
        let target = target().await;
        let began = Instant::now();
        let report = finished(start_copy(&source, &target)).await;
        println!(
            "{users} users and as many sessions: {:.1} s in all, {} ms closed, {} ms locked",
            began.elapsed().as_secs_f64(),
            report["closed_ms"],
            report["locked_ms"]
        );
    }
}
