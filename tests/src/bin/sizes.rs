//! What users, sessions, events and counted limits take in the database and in Redis: `sizes --help`.

use std::process::Command;
use std::sync::Arc;

use clap::Parser;
use countersign_tests::redis::Redis;
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Api, Backend, Database, Random, Server, Setup};
use serde_json::json;
use tokio::sync::Semaphore;

const PASSWORD: &str = "correct horse battery";

/// Fills a server on SQLite or PostgreSQL, and a Redis, and prints bytes for each thing.
#[derive(Debug, Parser)]
struct Arguments {
    /// `sqlite` or `postgres`.
    #[arg(long, default_value = "postgres")]
    backend: String,
    /// How many users register.
    #[arg(long, default_value_t = 1000)]
    users: usize,
    /// How many sessions each of them opens.
    #[arg(long, default_value_t = 3)]
    sessions: usize,
    /// How often each session is refreshed.
    #[arg(long, default_value_t = 3)]
    refreshes: usize,
    /// How many addresses guess a password.
    #[arg(long, default_value_t = 2000)]
    guesses: usize,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let backend = match arguments.backend.as_str() {
        "sqlite" => Backend::Sqlite,
        "postgres" => Backend::Postgres,
        other => panic!("`{other}` is neither `sqlite` nor `postgres`"),
    };
    let redis = Redis::start(&mut Random::from_environment(), &[]).await;
    let mut server = Setup::new(backend)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("REDIS_URL", format!("redis://{}", redis.address()))
        .set("TRUSTED_PROXIES", "127.0.0.1")
        .set("HASH_QUEUE_SECONDS", "60")
        .set("COUNTERSIGN_LOG", "warn,countersign=info,request=off")
        .start()
        .await;
    let empty = used(&redis).await;
    fill(&server, &arguments).await;
    let sessions = arguments.users * arguments.sessions;
    let full = used(&redis).await;
    println!("Redis, empty: {} bytes, with {} keys", empty.0, empty.1);
    each("Redis, session", full.0 - empty.0, sessions);
    let events = "SELECT CAST(count(*) AS TEXT) FROM audit_events";
    let events = server.database.texts(events).await[0]
        .parse()
        .expect("a number");
    let counts = [
        ("users", arguments.users),
        ("sessions", sessions),
        ("audit_events", events),
    ];
    // As it lies after the work, with what is dead or free in it, and without that.
    for tidied in [false, true] {
        if tidied {
            tidy(&server.database);
        }
        let sizes = tables(&server.database);
        for (table, count) in counts {
            let of = sizes
                .iter()
                .find(|(name, _)| name == table)
                .map_or(0, |(_, size)| *size);
            let how = if tidied { "tidied" } else { "as it lies" };
            each(&format!("{table}, {how}"), of, count);
        }
    }
    server.stop().await;
    for name in ["RATE_LIMIT_LOGIN", "RATE_LIMIT_ACCOUNT"] {
        server.unset(name);
    }
    server.launch().await;
    let before = used(&redis).await;
    guess(&server.api(), arguments.guesses).await;
    let after = used(&redis).await;
    each(
        "Redis, counted limit",
        after.0 - before.0,
        after.1 - before.1,
    );
}

fn each(what: &str, bytes: usize, count: usize) {
    let one = bytes as f64 / count.max(1) as f64;
    println!("{what}: {bytes} bytes for {count}, {one:.0} each");
}

async fn fill(server: &Server, arguments: &Arguments) {
    let few = Arc::new(Semaphore::new(24));
    let mut users = Vec::new();
    for number in 0..arguments.users {
        let place = few.clone().acquire_owned().await.expect("open");
        let (api, sessions, refreshes) = (server.api(), arguments.sessions, arguments.refreshes);
        users.push(tokio::spawn(async move {
            let email = format!("somebody.{number}@mail.example.com");
            let body = json!({"email": email, "password": PASSWORD, "name": "Somebody Somewhere"});
            api.post("/auth/register", body).await.expect(201);
            for _ in 0..sessions {
                let login = api.request(reqwest::Method::POST, "/auth/login");
                let login = login
                    .header(
                        "User-Agent",
                        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                    )
                    .json(&json!({"email": email, "password": PASSWORD}));
                let mut tokens = Api::send(login).await.tokens();
                for _ in 0..refreshes {
                    tokens = api.refresh(&tokens.refresh).await.tokens();
                }
            }
            drop(place);
        }));
    }
    for user in users {
        user.await.expect("a user");
    }
}

async fn guess(api: &Api, guesses: usize) {
    for number in 0..guesses {
        let body =
            json!({"email": format!("nobody.{number}@example.com"), "password": "wrong password"});
        let request = api
            .request(reqwest::Method::POST, "/auth/login")
            .json(&body);
        let address = format!("10.{}.{}.1", number / 256, number % 256);
        Api::send(request.header("X-Forwarded-For", address))
            .await
            .expect(401);
    }
}

/// All memory that Redis has allocated, its own tables and all, and the number of keys.
async fn used(redis: &Redis) -> (usize, usize) {
    let bytes = redis.info("used_memory").await;
    let keys = redis.must(&["DBSIZE"]).await;
    let number = |text: &str| text.parse().expect("a number");
    (number(&bytes), number(keys.text()))
}

/// Takes out what is free or dead.
fn tidy(database: &Database) {
    ask(database, "VACUUM", "VACUUM FULL");
}

/// Bytes of each table with its indexes.
fn tables(database: &Database) -> Vec<(String, usize)> {
    let sqlite = "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name GROUP BY 1";
    let postgres = "SELECT relname, pg_total_relation_size(oid) FROM pg_class \
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
    let text = ask(database, sqlite, postgres);
    let rows = text.lines().filter_map(|line| {
        let (name, size) = line.split_once(' ')?;
        Some((name.to_owned(), size.parse().ok()?))
    });
    rows.collect()
}

/// Runs a statement by the database's own program, and returns what it prints.
fn ask(database: &Database, sqlite: &str, postgres: &str) -> String {
    let (program, arguments, statement) = match database {
        Database::Sqlite { file } => {
            let file = file.display().to_string();
            (
                "sqlite3",
                vec!["-separator".into(), " ".into(), file],
                sqlite,
            )
        }
        Database::Postgres { .. } => {
            let arguments = vec!["-AtF".into(), " ".into(), database.url(), "-c".into()];
            ("psql", arguments, postgres)
        }
    };
    let output = Command::new(program)
        .args(arguments)
        .arg(statement)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
