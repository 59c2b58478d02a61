//! Redis as `deploy/` sets it up: alone, under Sentinel and as a Cluster, with the very files, and no right that is missing or not needed.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_tests::proxies::deploy;
use countersign_tests::redis::{Redis, Reply};
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Backend, Random, Server, Setup, within_a_second};
use serde_json::json;
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";
const OPERATOR: (&str, &str) = ("operator", "choose-a-password-for-operators");

/// What a Redis that is not a Cluster, or has no Sentinel, is not asked.
const ELSEWHERE: [&str; 6] = [
    "role",
    "cluster|slots",
    "cluster|nodes",
    "cluster|shards",
    "readonly",
    // Taken by HELLO, where the server knows that.
    "auth",
];

/// The files, where this server looks for them.
fn files(folder: &Path) -> Vec<(&'static str, String)> {
    let place = folder.to_str().expect("UTF-8");
    let at_home = |text: String| text.replace("/etc/redis", place);
    vec![
        ("redis.conf", at_home(deploy("redis.conf"))),
        ("users.acl", deploy("redis-users.acl")),
        ("settings.conf", format!("include {place}/redis.conf\n")),
    ]
}

fn cluster_files(folder: &Path) -> Vec<(&'static str, String)> {
    let mut all = files(folder);
    let place = folder.to_str().expect("UTF-8");
    let node = deploy("redis-cluster.conf").replace("/etc/redis", place);
    all.retain(|(name, _)| *name != "settings.conf");
    all.push(("settings.conf", node));
    all
}

async fn redis(random: &mut Random, options: &[&str]) -> Redis {
    Redis::start_from(random, files, options, Some(OPERATOR)).await
}

async fn servers(url: &str) -> [Server; 2] {
    let first = Setup::new(Backend::Postgres)
        .with_limits()
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .set("TRUSTED_PROXIES", "127.0.0.1")
        .set("REDIS_URL", url)
        .start()
        .await;
    let second = first.sibling().await;
    [first, second]
}

/// Waits until both refresh in Redis.
async fn trusted(servers: &[Server; 2]) {
    both(servers, "1").await;
}

/// Waits until both have noticed that it is gone.
async fn given_up(servers: &[Server; 2]) {
    both(servers, "0").await;
}

async fn both(servers: &[Server; 2], trusted: &str) {
    let began = Instant::now();
    for server in servers {
        loop {
            let figures = server.operator().get("/metrics").await.text;
            if figures.contains(&format!("\ncountersign_redis_trusted {trusted}\n")) {
                break;
            }
            let waited = began.elapsed();
            assert!(
                waited < Duration::from_secs(20),
                "trusted is not {trusted}: {}",
                server.log()
            );
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Signs in, refreshes, signs out and guesses, on both in turn.
async fn use_them(servers: &[Server; 2], number: u8) {
    let [a, b] = [servers[0].api(), servers[1].api()];
    let mut gone = Vec::new();
    for user in 0..6 {
        let email = format!("user{number}.{user}@example.com");
        let body = json!({"email": email, "password": PASSWORD});
        let from = |request: reqwest::RequestBuilder| {
            request.header("X-Forwarded-For", format!("192.0.2.{user}"))
        };
        let post = |api: &countersign_tests::Api, path: &str| {
            from(api.request(reqwest::Method::POST, path)).json(&body)
        };
        // Three registrations an hour from one address.
        let register = post(&a, "/auth/register");
        let register = register.header("X-Forwarded-For", format!("198.51.{number}.{user}"));
        let answer = countersign_tests::Api::send(register).await;
        assert!(matches!(answer.status, 201 | 429), "{answer:?}");
        if answer.status == 429 {
            servers[0]
                .cli_with_input(&["user", "create", &email, "--password-stdin"], PASSWORD)
                .expect(0);
        }
        let answer = countersign_tests::Api::send(post(&b, "/auth/login")).await;
        let mut tokens = answer.tokens();
        for _ in 0..3 {
            tokens = a.refresh(&tokens.refresh).await.tokens();
            tokens = b.refresh(&tokens.refresh).await.tokens();
        }
        if user % 2 == 0 {
            a.logout(&tokens.refresh).await.expect(204);
            gone.push(tokens);
        }
    }
    for tokens in gone {
        b.refresh(&tokens.refresh)
            .await
            .expect_problem(401, "session_revoked");
        within_a_second("a sign-out", async || {
            b.me(&tokens.access).await.status == 401
        })
        .await;
    }
    assert!(limits_are_shared(servers, number).await);
}

/// An instance acknowledges a refresh that the database does not take, and another finds nothing in Redis: what it asks there
/// needs rights too.
async fn fall_behind(servers: &[Server; 2], redis: &Redis) {
    let [a, b] = [servers[0].api(), servers[1].api()];
    let body = json!({"email": "behind@example.com", "password": PASSWORD});
    servers[0]
        .cli_with_input(
            &["user", "create", "behind@example.com", "--password-stdin"],
            PASSWORD,
        )
        .expect(0);
    let request = a.request(reqwest::Method::POST, "/auth/login").json(&body);
    let first = countersign_tests::Api::send(request).await.tokens();
    let url = servers[0].database.url();
    let pool = countersign_tests::database::connect(&url, 1).await;
    let mut lock = pool.begin().await.expect("begin");
    sqlx::query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *lock)
        .await
        .expect("lock");
    let second = a.refresh(&first.refresh).await.tokens();
    within_a_second("being behind", async || {
        let behind = redis.must(&["KEYS", "cs:*:behind:*"]).await;
        matches!(behind, Reply::Many(keys) if keys.len() == 8)
    })
    .await;
    lock.rollback().await.expect("unlock");
    redis.must(&["FLUSHALL"]).await;
    b.refresh(&second.refresh).await.tokens();
}

/// Whether six guesses of one address, by both in turn, find the five places of one limit.
async fn limits_are_shared(servers: &[Server; 2], number: u8) -> bool {
    let [a, b] = [servers[0].api(), servers[1].api()];
    let mut statuses = Vec::new();
    for guess in 0..6 {
        let api = [&a, &b][guess % 2];
        let email = format!("nobody{number}.{guess}@example.com");
        let body = json!({"email": email, "password": "wrong password"});
        let request = api
            .request(reqwest::Method::POST, "/auth/login")
            .json(&body);
        let request = request.header("X-Forwarded-For", format!("203.0.113.{number}"));
        statuses.push(countersign_tests::Api::send(request).await.status);
    }
    println!("guesses: {statuses:?}");
    statuses == [401, 401, 401, 401, 401, 429]
}

/// What was refused to anybody.
async fn refused(redis: &Redis) -> Vec<String> {
    let Reply::Many(entries) = redis.must(&["ACL", "LOG"]).await else {
        panic!("ACL LOG answers a list");
    };
    let texts = entries.iter().map(|entry| match entry {
        Reply::Many(fields) => fields.iter().map(Reply::text).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    });
    texts.collect()
}

/// The commands that were called, as `acl setuser` names them.
async fn called(redis: &Redis) -> BTreeSet<String> {
    let stats = redis.must(&["INFO", "commandstats"]).await;
    let names = stats.text().lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        rest.contains("calls=").then(|| name.to_owned())
    });
    names.collect()
}

/// What the file grants to the user `countersign`.
fn granted() -> BTreeSet<String> {
    let file = deploy("redis-users.acl");
    let line = file
        .lines()
        .find(|line| line.starts_with("user countersign "));
    let words = line.expect("the user is in the file").split_whitespace();
    let granted = words.filter_map(|word| word.strip_prefix('+'));
    granted.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server() {
    let mut redis = redis(&mut Random::from_environment(), &[]).await;
    for (name, value) in [
        ("maxmemory-policy", "noeviction"),
        ("save", ""),
        ("appendonly", "no"),
    ] {
        let Reply::Many(found) = redis.must(&["CONFIG", "GET", name]).await else {
            panic!("CONFIG GET answers a list");
        };
        assert_eq!(found[1].text(), value, "{name}");
    }
    let url = format!("redis://countersign:choose-a-password@{}", redis.address());
    let servers = servers(&url).await;
    trusted(&servers).await;
    use_them(&servers, 1).await;
    // Empty, and again as it was when it started: back to work by itself.
    redis.must(&["FLUSHALL"]).await;
    use_them(&servers, 2).await;
    assert_eq!(refused(&redis).await, Vec::<String>::new());
    redis.kill();
    given_up(&servers).await;
    redis.start_again().await;
    trusted(&servers).await;
    use_them(&servers, 3).await;
    fall_behind(&servers, &redis).await;
    trusted(&servers).await;
    assert_eq!(refused(&redis).await, Vec::<String>::new());
    // No right that nobody needs.
    let called = called(&redis).await;
    let granted = granted();
    let unused: Vec<_> = granted
        .iter()
        .filter(|name| !called.contains(*name) && !ELSEWHERE.contains(&name.as_str()))
        .collect();
    assert!(unused.is_empty(), "{unused:?} of {granted:?}: {called:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_sentinel() {
    let mut random = Random::from_environment();
    let mut master = redis(&mut random, &[]).await;
    let port = master.port.to_string();
    let replica = redis(&mut random, &["--replicaof", "127.0.0.1", &port]).await;
    let monitor = |_: &Path| {
        let file = deploy("sentinel.conf")
            .replace("port 26379", "")
            .replace("10.0.0.1 6379", &format!("127.0.0.1 {port}"))
            // Shorter, for the test.
            .replace(
                "down-after-milliseconds main 5000",
                "down-after-milliseconds main 1000",
            )
            .replace("failover-timeout main 30000", "failover-timeout main 4000");
        vec![("settings.conf", file)]
    };
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Redis::start_from(&mut random, monitor, &["--sentinel"], None).await);
    }
    let began = Instant::now();
    for sentinel in &sentinels {
        loop {
            let info = sentinel.must(&["INFO", "sentinel"]).await;
            if info.text().contains("status=ok") && info.text().contains("slaves=1,sentinels=3") {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "{}", info.text());
            sleep(Duration::from_millis(100)).await;
        }
    }
    let hosts: Vec<String> = sentinels.iter().map(Redis::address).collect();
    let url = format!(
        "redis-sentinel://countersign:choose-a-password@{}/main",
        hosts.join(",")
    );
    let servers = servers(&url).await;
    trusted(&servers).await;
    use_them(&servers, 1).await;
    assert_eq!(refused(&master).await, Vec::<String>::new());
    master.kill();
    given_up(&servers).await;
    let began = Instant::now();
    while replica.info("role").await != "master" {
        assert!(began.elapsed() < Duration::from_secs(40), "no failover");
        sleep(Duration::from_millis(100)).await;
    }
    trusted(&servers).await;
    use_them(&servers, 2).await;
    assert_eq!(refused(&replica).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_a_cluster() {
    let mut random = Random::from_environment();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(Redis::start_from(&mut random, cluster_files, &[], Some(OPERATOR)).await);
    }
    let hosts: Vec<String> = nodes.iter().map(Redis::address).collect();
    let output = Command::new("redis-cli")
        .args([
            "--user",
            OPERATOR.0,
            "--pass",
            OPERATOR.1,
            "--no-auth-warning",
        ])
        .args(["--cluster", "create"])
        .args(&hosts)
        .args(["--cluster-replicas", "0", "--cluster-yes"])
        .output()
        .expect("run redis-cli");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    let began = Instant::now();
    for node in &nodes {
        while !node
            .must(&["CLUSTER", "INFO"])
            .await
            .text()
            .contains("cluster_state:ok")
        {
            assert!(
                began.elapsed() < Duration::from_secs(30),
                "the Cluster does not form"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }
    let url = format!(
        "redis-cluster://countersign:choose-a-password@{}",
        hosts.join(",")
    );
    let servers = servers(&url).await;
    trusted(&servers).await;
    use_them(&servers, 1).await;
    nodes[1].must(&["FLUSHALL"]).await;
    use_them(&servers, 2).await;
    nodes[2].kill();
    nodes[2].start_again().await;
    // Some request has to meet with it first; until all is well each counts for itself.
    let began = Instant::now();
    let mut number = 100;
    while !limits_are_shared(&servers, number).await {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "not itself again"
        );
        number += 1;
        sleep(Duration::from_millis(500)).await;
    }
    trusted(&servers).await;
    use_them(&servers, 3).await;
    for node in &nodes {
        assert_eq!(refused(node).await, Vec::<String>::new());
    }
}
