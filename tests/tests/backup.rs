//! Backup and restore, by the commands of docs/backup.md, and what a restore means.

use std::process::Command;
use std::sync::Arc;

use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Backend, Database, Random, Server, Setup, Tokens, redis::Redis};

const PASSWORD: &str = "correct horse battery";
const OTHER: &str = "another battery staple";

/// Runs one line of the page, with the names in it set.
fn run(line: &str, names: &[(&str, &str)]) {
    let page: std::path::PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "docs", "backup.md"]
        .iter()
        .collect();
    let page = std::fs::read_to_string(page).expect("docs/backup.md");
    assert!(
        page.lines().any(|written| written == line),
        "docs/backup.md has no line `{line}`"
    );
    // Debian keeps some of PostgreSQL's programs in a folder of their own.
    let output = Command::new("sh")
        .args(["-ec", line])
        .envs(names.iter().copied())
        .output()
        .expect("run sh");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}`: {errors}");
}

/// Sessions and what becomes of them after the backup.
struct Before {
    /// Goes on.
    kept: Tokens,
    /// Signed out after the backup.
    ended: Tokens,
    /// Events in the audit log.
    events: u64,
}

async fn before(server: &Server) -> Before {
    let api = server.api();
    let kept = api.new_session("ada@example.com", PASSWORD).await;
    let ended = api.login("ada@example.com", PASSWORD).await.tokens();
    api.new_session("grace@example.com", PASSWORD).await;
    let events = "SELECT CAST(count(*) AS TEXT) FROM audit_events";
    let events = server.database.texts(events).await[0].parse();
    Before {
        kept,
        ended,
        events: events.expect("a number"),
    }
}

struct Since {
    /// The newest token of the session that goes on.
    newest: Tokens,
    /// Where the audit log ended.
    anchor: String,
}

async fn since(server: &Server, before: &Before) -> Since {
    let api = server.api();
    let newest = api.refresh(&before.kept.refresh).await.tokens();
    let newest = api.refresh(&newest.refresh).await.tokens();
    api.logout(&before.ended.refresh).await.expect(204);
    api.register("late@example.com", PASSWORD).await.expect(201);
    let grace = api.login("grace@example.com", PASSWORD).await.tokens();
    let changed = api.change_password(&grace.access, PASSWORD, OTHER).await;
    changed.expect(204);
    let anchor = end_of_log(server, before.events).await;
    Since { newest, anchor }
}

/// The end of the audit log, once it lies behind so many events: they get their places in the chain twice a second.
async fn end_of_log(server: &Server, behind: u64) -> String {
    let began = tokio::time::Instant::now();
    loop {
        let verified = server.cli(&["audit", "verify"]).expect(0).stdout;
        let anchor = verified.rsplit_once(": ").map(|(_, anchor)| anchor.trim());
        if let Some((position, _)) = anchor.and_then(|anchor| anchor.split_once(':'))
            && position.parse::<u64>().expect("a position") > behind
        {
            return anchor.unwrap_or_default().to_owned();
        }
        assert!(began.elapsed().as_secs() < 10, "{verified}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// What holds on the restored database.
async fn check(server: &Server, before: Before, since: Since) {
    server.cli(&["doctor"]).expect(0);
    server.cli(&["audit", "verify"]).expect(0);
    // What happened since is missing, and whoever noted the end of the log can tell.
    let cut = server.cli(&["audit", "verify", "--anchor", &since.anchor]);
    assert_eq!(cut.code, Some(1), "{}", cut.stdout);

    let api = server.api();
    // Nobody is signed out: a token that is ahead of the database is its own proof.
    let newest = api.refresh(&since.newest.refresh).await.tokens();
    // The honest part of the page: what was ended lives, what was changed is as before, who came later is gone.
    let revived = api.refresh(&before.ended.refresh).await.tokens();
    api.login("grace@example.com", PASSWORD).await.expect(200);
    api.login("grace@example.com", OTHER).await.expect(401);
    api.login("late@example.com", PASSWORD).await.expect(401);

    // And how to end all that.
    server.cli(&["keys", "rotate", "--emergency"]).expect(0);
    for tokens in [&newest, &revived] {
        countersign_tests::within_a_second("the emergency", async || {
            api.me(&tokens.access).await.status == 401
        })
        .await;
        api.refresh(&tokens.refresh).await.expect(401);
    }
    let tokens = api.login("ada@example.com", PASSWORD).await.tokens();
    let tokens = api.refresh(&tokens.refresh).await.tokens();
    api.me(&tokens.access).await.expect(200);
    server.cli(&["audit", "verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite() {
    let mut server = Server::start(Backend::Sqlite).await;
    let sessions = before(&server).await;
    let data = server.folder().to_str().unwrap().to_owned();
    let backup = format!("{data}/backup.db");
    let names = [("DATA", data.as_str()), ("BACKUP", backup.as_str())];
    run(
        "sqlite3 \"$DATA/countersign.db\" \"VACUUM INTO '$BACKUP'\"",
        &names,
    );
    let since = since(&server, &sessions).await;
    // As after a crash: with what the log holds beside the file.
    server.kill();
    run(
        "rm -f \"$DATA/countersign.db-wal\" \"$DATA/countersign.db-shm\"",
        &names,
    );
    run(
        "install -m 600 \"$BACKUP\" \"$DATA/countersign.db\"",
        &names,
    );
    server.launch().await;
    check(&server, sessions, since).await;
    server.database.check_integrity().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_with_redis() {
    let redis = Redis::start(&mut Random::from_environment(), &[]).await;
    let mut server = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("REDIS_URL", format!("redis://{}", redis.address()))
        .start()
        .await;
    let sessions = before(&server).await;
    let folder = tempfile_in(&server);
    let (url, backup) = (server.database.url(), format!("{folder}/countersign.dump"));
    let names = [("DATABASE_URL", url.as_str()), ("BACKUP", backup.as_str())];
    run("pg_dump -Fc -d \"$DATABASE_URL\" -f \"$BACKUP\"", &names);
    let since = since(&server, &sessions).await;
    server.stop().await;
    // A new, empty database, as on a new machine.
    let restored = std::env::var("COUNTERSIGN_TEST_POSTGRES").expect("by `scripts/test`");
    let restored = Arc::new(Database::create_on(&restored).await);
    let url = restored.url();
    let names = [("DATABASE_URL", url.as_str()), ("BACKUP", backup.as_str())];
    run(
        "pg_restore --exit-on-error --no-owner -d \"$DATABASE_URL\" \"$BACKUP\"",
        &names,
    );
    server.set("DATABASE_URL", &url);
    redis.must(&["FLUSHDB"]).await;
    server.launch().await;
    check(&server, sessions, since).await;
}

fn tempfile_in(server: &Server) -> String {
    server.folder().to_str().expect("UTF-8").to_owned()
}
