//! Another version beside this one: see `docs/upgrades.md`.

use std::time::Duration;

use reqwest::Method;

use countersign_tests::faults::{Campaign, Profile};
use countersign_tests::server::next_binary;
use countersign_tests::{Backend, Random, Server, Setup, on_each_backend, within_a_second};

/// The schema is migrated and instances are replaced, there and back, while users work and check what they were promised.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_upgrade_on_postgres() {
    Campaign::upgrade(Profile::Postgres, Random::from_environment()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_upgrade_on_postgres_and_redis() {
    Campaign::upgrade(Profile::PostgresRedis, Random::from_environment()).await;
}

on_each_backend!(
    newer_schema_serves_or_stops_a_running_server,
    plan_says_what_is_locked,
    values_of_newer_versions_break_nothing,
);

/// Changes something as a newer version would, which must be there.
async fn change(server: &Server, statement: &str) {
    assert!(
        !server.database.texts(statement).await.is_empty(),
        "{statement}"
    );
}

/// The schema that this version knows.
fn newest() -> u32 {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/store-sql/migrations/sqlite"
    );
    let migrations = std::fs::read_dir(folder).expect("the migrations");
    u32::try_from(migrations.count()).expect("few")
}

async fn note_migration(server: &Server, number: u32, sql: &str) {
    change(
        server,
        &format!("INSERT INTO schema_migrations (number, name, sql) VALUES ({number}, 'x', '{sql}') RETURNING name"),
    )
    .await;
}

async fn newer_schema_serves_or_stops_a_running_server(backend: Backend) {
    let setup = Setup::new(backend).set("COUNTERSIGN_DRAIN_SECONDS", "60");
    let mut server = setup
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .start()
        .await;
    assert!(!server.log().contains("still served"));
    let newest = newest();
    let serves = format!("-- serves: {newest}");
    note_migration(&server, newest + 1, &serves).await;
    within_a_second("a newer schema is told of", async || {
        server.log().contains("is still served")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(server.log().matches("is still served").count(), 1);
    assert_eq!(server.api().get("/readyz").await.status, 200);
    let figures = server.operator().get("/metrics").await.text;
    assert!(
        figures.contains(&format!("\ncountersign_schema {}\n", newest + 1))
            && figures.contains(&format!("\ncountersign_schema_known {newest}\n"))
    );

    let doctor = server.cli(&["doctor"]).expect(0).stdout;
    assert!(
        doctor.contains("schema       warning")
            && doctor.contains(&format!("schema {}", newest + 1)),
        "{doctor}"
    );
    for arguments in [&["migrate"][..], &["migrate", "--plan"]] {
        let said = server.cli(arguments).expect(0).stdout;
        assert!(
            said.contains("is still served") && said.contains("nothing to do"),
            "{said}"
        );
    }
    server
        .cli(&["user", "create", "ada@example.com", "--no-password"])
        .expect(0);
    server.kill();
    server.launch().await;
    assert!(server.log().contains("is still served"));

    // Whoever no longer serves it may announce what it does not know: it ends by itself, and does not start.
    let serves = format!("-- serves: {}", newest + 1);
    note_migration(&server, newest + 2, &serves).await;
    let status = server.wait(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(78));
    let (code, log) = server.run_refused();
    assert_eq!(code, Some(78));
    let line = log
        .lines()
        .find(|line| line.contains("upgrade this version"))
        .expect(&log);
    assert!(
        line.contains(&format!("knows schema {newest}"))
            && line.contains(&format!("schema {}", newest + 2))
            && line.contains(&format!("schema {} and up", newest + 1)),
        "{line}"
    );
    let refused = server.cli(&["user", "list"]).expect(78);
    assert!(
        refused.stderr.contains("upgrade this version"),
        "{}",
        refused.stderr
    );
    let doctor = server.cli(&["doctor"]).expect(78);
    assert!(
        doctor.stdout.contains("upgrade this version"),
        "{}",
        doctor.stdout
    );
}

async fn plan_says_what_is_locked(backend: Backend) {
    let mut server = Server::start(backend).await;
    server.stop().await;
    let run = |arguments: &[&str]| {
        let output = server
            .command_of(&next_binary(), arguments)
            .output()
            .expect("run");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let plan = run(&["migrate", "--plan"]);
    let next = newest() + 1;
    assert!(
        plan.contains(&format!(
            "-- {next} {next:04}_rehearsal\n-- serves running versions that know schema {} and up",
            next - 1
        )),
        "{plan}"
    );
    let (users, sessions, new) = match backend {
        Backend::Sqlite => (
            "rows): the whole file; blocks writes; takes a moment\nALTER TABLE users",
            "rows): the whole file; blocks writes; reads the whole table\nCREATE INDEX",
            "-- locks rehearsals (not there yet): the whole file; blocks writes; takes a moment\nCREATE TABLE",
        ),
        Backend::Postgres => (
            "): ACCESS EXCLUSIVE; blocks reads and writes; takes a moment\nALTER TABLE users",
            "): SHARE; blocks writes; reads the whole table\nCREATE INDEX",
            "): SHARE ROW EXCLUSIVE; blocks writes; takes a moment\nCREATE TABLE",
        ),
    };
    for part in [users, sessions, new] {
        assert!(plan.contains(part), "{plan}");
    }
    let plan: serde_json::Value =
        serde_json::from_str(&run(&["--json", "migrate", "--plan"])).expect("JSON");
    let pending = &plan["pending"][0];
    assert_eq!(
        (&pending["number"], &pending["serves"]),
        (&next.into(), &newest().into())
    );
    let lock = &pending["statements"][2]["locks"][0];
    assert_eq!(
        (&lock["table"], &lock["known"], &lock["work"]),
        (&"users".into(), &true.into(), &"moment".into())
    );
    assert!(
        lock["bytes"].as_i64().is_some_and(|bytes| bytes > 0),
        "{lock}"
    );
    assert_eq!(lock["blocks_reads"], matches!(backend, Backend::Postgres));
    assert!(run(&["migrate"]).contains("applied 1 migration;"));
}

/// Reasons, kinds of events and of announcements, methods, scopes and algorithms that this version does not know.
async fn values_of_newer_versions_break_nothing(backend: Backend) {
    let server = Setup::new(backend)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .start()
        .await;
    let (api, email, password) = (server.api(), "ada@example.com", "correct horse battery");
    let ended = api.new_session(email, password).await;
    change(
        &server,
        "UPDATE sessions SET revoked_at = created_at, revoke_reason = 'of_tomorrow' RETURNING revoke_reason",
    )
    .await;
    api.refresh(&ended.refresh)
        .await
        .expect_problem(401, "session_revoked");
    server.cli(&["session", "list", email]).expect(0);
    let id = &server
        .database
        .texts(match backend {
            Backend::Sqlite => "SELECT lower(hex(id)) FROM sessions",
            Backend::Postgres => "SELECT id::text FROM sessions",
        })
        .await[0];
    let told = server.cli(&["session", "explain", id]).expect(0).stdout;
    assert!(told.contains("unknown"), "{told}");

    let live = api.login(email, password).await.tokens();
    change(&server, "UPDATE sessions SET amr = '[\"pwd\", \"of_tomorrow\"]' WHERE revoked_at IS NULL RETURNING 'x'").await;
    let live = api.refresh(&live.refresh).await.tokens();

    let key = server
        .cli(&["service-key", "create", "orders", "--scope", "feed"])
        .expect(0)
        .stdout;
    change(
        &server,
        "UPDATE service_keys SET scopes = '[\"of_tomorrow\"]' RETURNING name",
    )
    .await;
    change(
        &server,
        "INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed_private, created_at, activates_at)
         SELECT 'of_tomorrow', 'ES512', '{}', sealed_private, created_at, created_at FROM signing_keys RETURNING kid",
    )
    .await;
    change(&server, "UPDATE audit_events SET kind = 'of.tomorrow' WHERE kind = 'login.succeeded' RETURNING kind").await;
    // What it does not know, twice, and then what it does know.
    for kind in ["of_tomorrow", "of_tomorrow", "keys_changed"] {
        let announce = format!(
            "INSERT INTO revocations (kind, created_at, expires_at)
             SELECT '{kind}', created_at, expires_at FROM sessions WHERE revoked_at IS NULL RETURNING kind"
        );
        change(&server, &announce).await;
    }
    within_a_second("the scope is read again", async || {
        let feed = api
            .request(Method::GET, "/auth/revocations")
            .bearer_auth(key.trim());
        // Where it is open its body does not end.
        feed.send().await.expect("an answer").status() == 403
    })
    .await;
    api.me(&live.access).await.expect(200);
    api.get("/.well-known/jwks.json").await.expect(200);
    server.cli(&["keys", "list"]).expect(0);
    server.cli(&["service-key", "list"]).expect(0);
    let events = server.cli(&["audit", "list"]).expect(0).stdout;
    assert!(events.contains("of.tomorrow"), "{events}");
    // It follows on, and is told of sign-outs as before.
    server.cli(&["user", "sign-out", email]).expect(0);
    within_a_second("a sign-out holds", async || {
        api.me(&live.access).await.status == 401
    })
    .await;
    assert_eq!(api.get("/readyz").await.status, 200);
    assert_eq!(
        server
            .log()
            .matches("announces what this one does not know")
            .count(),
        1
    );
    let figures = server.operator().get("/metrics").await.text;
    assert!(
        figures.contains("\ncountersign_announcements_unknown_total 2\n"),
        "{figures}"
    );
}
