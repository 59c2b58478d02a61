//! The revocation feed of real instances: nothing is missed, whatever happens to whom a client follows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use countersign_tests::feed::Follower;
use countersign_tests::postgres::Cluster;
use countersign_tests::redis::Redis;
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Api, Backend, Database, Random, Server, Setup, Tokens, within_a_second};
use reqwest::Method;
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";

async fn two() -> (Server, Server) {
    let first = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .start()
        .await;
    let second = first.sibling().await;
    (first, second)
}

/// The session of an access token.
async fn sid(api: &Api, tokens: &Tokens) -> String {
    let path = "/auth/sessions";
    let listed = api
        .with_token(Method::GET, path, &tokens.access, json!(null))
        .await;
    let listed = listed.expect(200);
    let mut sessions = listed["items"].as_array().expect("a list").iter();
    let current = sessions.find(|session| session["current"] == true);
    current.expect("the current one")["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// A session that has yet to be ended, and its id.
async fn session(api: &Api, email: &str) -> (Tokens, String) {
    let tokens = api.login(email, PASSWORD).await.tokens();
    let sid = sid(api, &tokens).await;
    (tokens, sid)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_out_at_one_is_told_by_the_other_within_a_second() {
    let (a, b) = two().await;
    let key = a.feed_key("api");
    let mut at_b = Follower::new(&key);
    at_b.follow_soon(&b).await;
    at_b.until_beat().await;
    let api = a.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    for _ in 0..5 {
        let (tokens, sid) = session(&api, "ada@example.com").await;
        api.logout(&tokens.refresh).await.expect(204);
        let began = Instant::now();
        at_b.until_known(&sid).await;
        let took = began.elapsed();
        println!("told after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(at_b.snapshots, 1);
}

/// Sessions end on both instances all the time, while a client goes from one to the other and one of them is killed. In the end it
/// knows exactly those that have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_hops_between_instances_misses_nothing() {
    let (mut a, b) = two().await;
    let key = a.feed_key("api");
    let api = a.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    let mut sessions = Vec::new();
    for _ in 0..160 {
        sessions.push(session(&api, "ada@example.com").await);
    }
    let live: BTreeSet<String> = sessions
        .split_off(150)
        .into_iter()
        .map(|one| one.1)
        .collect();
    let ended: BTreeSet<String> = sessions.iter().map(|one| one.1.clone()).collect();
    let mut follower = Follower::new(&key);
    follower.follow_soon(&a).await;
    follower.until_beat().await;

    let (first, second) = (a.api(), b.api());
    let ending = tokio::spawn(async move {
        for (n, (tokens, _)) in sessions.iter().enumerate() {
            let api = if n % 2 == 0 && n < 75 {
                &first
            } else {
                &second
            };
            api.logout(&tokens.refresh).await.expect(204);
            sleep(Duration::from_millis(30)).await;
        }
    });
    let mut random = Random::from_seed(7);
    let mut killed = false;
    let mut hops = 0;
    while !ending.is_finished() {
        let until = Instant::now() + Duration::from_millis(random.below(400));
        while Instant::now() < until {
            // A stream that ends is followed anew.
            let _ = follower.next(Duration::from_millis(20)).await;
        }
        if !killed && follower.known.len() > 85 {
            assert_eq!(follower.follow(&a).await, 200);
            a.kill();
            killed = true;
        }
        let to = if killed || hops % 2 == 0 { &b } else { &a };
        assert_eq!(follower.follow(to).await, 200);
        hops += 1;
    }
    ending.await.expect("all ended");
    assert!(killed, "it was never killed");
    let deadline = Instant::now() + Duration::from_secs(10);
    while follower.known.len() < ended.len() && Instant::now() < deadline {
        let _ = follower.next(Duration::from_millis(100)).await;
    }
    assert_eq!(follower.known, ended);
    assert!(follower.known.is_disjoint(&live));
    println!("{hops} hops, {} snapshots", follower.snapshots);
    assert_eq!(follower.snapshots, 1, "it went on every time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_an_operator_revokes_ends_open_streams_within_a_second() {
    let (a, b) = two().await;
    let key = a.feed_key("api");
    let again = a.cli(&["service-key", "create", "api", "--scope", "feed"]);
    assert_eq!(again.code, Some(1), "{}", again.stderr);
    let other = a.feed_key("other");
    let (mut at_a, mut at_b, mut stays) = (
        Follower::new(&key),
        Follower::new(&key),
        Follower::new(&other),
    );
    at_a.follow_soon(&a).await;
    at_b.follow_soon(&b).await;
    stays.follow_soon(&b).await;
    at_a.until_beat().await;
    at_b.until_beat().await;
    a.cli(&["service-key", "revoke", "api"]).expect(0);
    let began = Instant::now();
    at_a.until_end(Duration::from_secs(1)).await;
    at_b.until_end(Duration::from_secs(1)).await;
    println!("ended after {:?}", began.elapsed());
    assert_eq!(at_a.follow(&a).await, 401);
    stays.until_beat().await;
    // Nothing that is shown or stored holds the key.
    let listed = a.cli(&["service-key", "list", "--json"]);
    assert_eq!(
        listed.stdout.matches("\"revoked\"").count(),
        1,
        "{}",
        listed.stdout
    );
    let dump = a.database.dump().await;
    for secret in [&key, &other] {
        assert!(!listed.stdout.contains(secret.as_str()));
        assert!(!dump.contains(secret.as_str()) && !a.log().contains(secret.as_str()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_heartbeats_stop_and_clients_may_still_come() {
    let cluster = Cluster::start();
    let database = Arc::new(Database::create_on(&cluster.url).await);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut server = Setup::new(Backend::Postgres).prepare_on(folder, database);
    server.launch().await;
    let key = server.feed_key("api");
    let api = server.api();
    let tokens = api.new_session("ada@example.com", PASSWORD).await;
    let (gone, gone_sid) = session(&api, "ada@example.com").await;
    api.logout(&gone.refresh).await.expect(204);
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;
    follower.until_beat().await;
    // From then on the profile is in memory.
    api.me(&tokens.access).await.expect(200);

    cluster.stop_fast();
    sleep(Duration::from_secs(5)).await;
    let mut late = Follower::new(&key);
    assert_eq!(late.follow(&server).await, 200);
    late.until_known(&gone_sid).await;
    // What came before the outage is read; then there is silence.
    while let Ok(Some(_)) = follower.next(Duration::from_millis(100)).await {}
    for follower in [&mut follower, &mut late] {
        let heard = follower
            .next(Duration::from_secs(2))
            .await
            .expect("the stream goes on");
        assert!(heard.is_none(), "{heard:?}");
    }
    api.me(&tokens.access).await.expect(200);
    api.me(&gone.access)
        .await
        .expect_problem(401, "session_revoked");

    cluster.start_again();
    follower.until_beat().await;
    late.until_beat().await;
    let (more, sid) = session(&api, "ada@example.com").await;
    api.logout(&more.refresh).await.expect(204);
    follower.until_known(&sid).await;
}

/// A connection that asks for the feed and then reads nothing.
async fn deaf(server: &Server, key: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).await.expect("connect");
    let request = format!(
        "GET /auth/revocations HTTP/1.1\r\nHost: countersign.test\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("send");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_streams_do_not_delay_the_end() {
    let mut server = Server::start(Backend::Sqlite).await;
    let key = server.feed_key("api");
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;
    follower.until_beat().await;
    let mut silent = deaf(&server, &key).await;
    let mut first = [0; 12];
    silent.read_exact(&mut first).await.expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    let began = Instant::now();
    server.signal(Signal::TERM);
    follower.until_end(Duration::from_secs(2)).await;
    let status = server.wait(Duration::from_secs(5)).await;
    assert_eq!(status.code(), Some(0));
    println!("stopped after {:?}", began.elapsed());
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

/// Whoever does not read holds nothing up, and is cut off.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_nothing_holds_up_nobody() {
    let server = Server::start(Backend::Sqlite).await;
    let key = server.feed_key("api");
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;
    let _deaf = deaf(&server, &key).await;
    let api = server.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    for _ in 0..30 {
        let (tokens, sid) = session(&api, "ada@example.com").await;
        api.logout(&tokens.refresh).await.expect(204);
        let began = Instant::now();
        follower.until_known(&sid).await;
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}

/// With Redis the feed comes from the same table: whatever becomes of Redis, a sign-out at one instance is told by the other, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_and_without_it_a_sign_out_is_told_once() {
    let mut redis = Redis::start(&mut Random::from_environment(), &[]).await;
    let a = Setup::new(Backend::Postgres)
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("REDIS_URL", format!("redis://{}", redis.address()))
        .start()
        .await;
    let b = a.sibling().await;
    let key = a.feed_key("api");
    let mut followers = [Follower::new(&key), Follower::new(&key)];
    for (follower, server) in followers.iter_mut().zip([&a, &b]) {
        follower.follow_soon(server).await;
        follower.until_beat().await;
    }
    let api = a.api();
    api.register("ada@example.com", PASSWORD).await.expect(201);
    let mut ended = BTreeSet::new();
    for stage in ["with Redis", "without", "with Redis again"] {
        match stage {
            "without" => redis.kill(),
            "with Redis again" => redis.start_again().await,
            _ => {}
        }
        for _ in 0..5 {
            let (tokens, sid) = session(&api, "ada@example.com").await;
            api.logout(&tokens.refresh).await.expect(204);
            let began = Instant::now();
            for follower in &mut followers {
                follower.until_known(&sid).await;
            }
            let took = began.elapsed();
            println!("{stage}: told after {took:?}");
            assert!(took < Duration::from_secs(1), "{stage}: {took:?}");
            ended.insert(sid);
        }
    }
    // Of what the instances found out about each other meanwhile nothing is told twice.
    for follower in &mut followers {
        follower.until_beat().await;
        follower.until_beat().await;
        assert_eq!(follower.known, ended);
        assert_eq!(follower.snapshots, 1, "the stream went on");
        assert_eq!(follower.entries, ended.len(), "each was told once");
    }
}

/// Who asks for the head, or may not follow at all, takes no place, and nothing that is sent in a wrong place counts as a key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_streams_take_places() {
    let server = Setup::new(Backend::Sqlite)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .set("COUNTERSIGN_FEED_SUBSCRIBERS", "1")
        .start()
        .await;
    let key = server.feed_key("api");
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;
    follower.until_beat().await;
    drop(follower);
    let nobody_follows = || within_a_second("it leaves", async || subscribers(&server).await == 0);
    nobody_follows().await;
    for api in [server.api(), Api::h2c(server.base())] {
        for _ in 0..5 {
            let request = api.request(Method::HEAD, "/auth/revocations");
            let answer = Api::send(request.bearer_auth(&key)).await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), "text/event-stream");
            nobody_follows().await;
        }
        for path in [
            format!("/auth/revocations?access_token={key}"),
            format!("/auth/revocations?key={key}"),
        ] {
            api.get(&path)
                .await
                .expect_problem(401, "missing_service_key");
        }
        let request = api.request(Method::POST, "/auth/revocations");
        let answer = Api::send(request.bearer_auth(&key)).await;
        answer.expect_problem(405, "method_not_allowed");
    }
    // Nor do thousands with a wrong key keep anybody out.
    let api = server.api();
    let wrong = format!("cs_sk_{}", "A".repeat(43));
    for _ in 0..2000 {
        let request = api.request(Method::GET, "/auth/revocations");
        let answer = Api::send(request.bearer_auth(&wrong)).await;
        assert_eq!(answer.status, 401);
    }
    let mut follower = Follower::new(&key);
    // As an old client and a proxy that compresses would ask.
    let request = api.request(Method::GET, "/auth/revocations");
    let request = request.header("accept-encoding", "gzip, br, zstd");
    let answer = request.bearer_auth(&key).send().await.expect("an answer");
    assert!(answer.headers().get("content-encoding").is_none());
    assert_eq!(answer.headers()["cache-control"], "no-store");
    drop(answer);
    nobody_follows().await;
    assert_eq!(follower.follow(&server).await, 200);
    follower.until_beat().await;
    for secret in [&key, &wrong] {
        assert!(!server.log().contains(secret.as_str()));
    }
}

/// How many follow, by its own account.
async fn subscribers(server: &Server) -> u64 {
    let figures = server.operator().get("/metrics").await;
    let name = "countersign_feed_subscribers ";
    let line = figures
        .text
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.expect("the figure").parse().expect("a number")
}

/// A client that is there, acknowledges, and takes nothing: over HTTP/1.1, where what is sent to it would fit into the kernel's buffers for
/// hours, and over HTTP/2, where it gives the stream no room and answers pings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_cut_off_in_a_minute_and_may_come_back() {
    let server = Setup::new(Backend::Sqlite)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .start()
        .await;
    let key = server.feed_key("api");
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;

    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(2048).expect("a small buffer");
    let address = server.address().parse().expect("an address");
    let mut one = socket.connect(address).await.expect("connect");
    let request = format!(
        "GET /auth/revocations HTTP/1.1\r\nHost: countersign.test\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    one.write_all(request.as_bytes()).await.expect("send");
    let http = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .http2_initial_stream_window_size(1024)
        .build()
        .expect("a client");
    let url = format!("{}/auth/revocations", server.base());
    let two = http.get(url).bearer_auth(&key).send().await;
    let two = two.expect("an answer");
    assert_eq!(two.version(), reqwest::Version::HTTP_2);

    let began = Instant::now();
    while subscribers(&server).await != 3 {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "they do not follow"
        );
        sleep(Duration::from_millis(50)).await;
    }
    // The buffers take a dozen heartbeats or two, and then they have 30 seconds.
    while subscribers(&server).await != 1 {
        follower.until_beat().await;
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(90), "they hold their places");
    }
    println!("cut off after {:?}", began.elapsed());
    assert!(
        began.elapsed() > Duration::from_secs(25),
        "a client may be slow"
    );
    drop((one, two));
    let mut again = Follower::new(&key);
    assert_eq!(again.follow(&server).await, 200);
    again.until_beat().await;
    assert_eq!(again.snapshots, 1);
}

/// What is resident of a process, in bytes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    1024 * kilobytes.expect("VmRSS").parse::<u64>().expect("a number")
}

/// A thousand that follow, and what each takes of the server's memory, in bytes. Over HTTP/2 a hundred share a connection.
async fn memory_of_each(http2: bool) -> u64 {
    const COUNT: u64 = 1000;
    let limit = getrlimit(Resource::Nofile);
    let needed = COUNT + 200;
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit {
            current: Some(needed),
            ..limit
        };
        // The server takes it over.
        setrlimit(Resource::Nofile, raised).expect("`ulimit -n 1200` has to be allowed");
    }
    let server = Setup::new(Backend::Sqlite)
        .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
        .start()
        .await;
    let key = server.feed_key("api");
    let mut follower = Follower::new(&key);
    follower.follow_soon(&server).await;
    // Once for what is made for the first.
    let (mut streams, mut answers) = (vec![deaf(&server, &key).await], Vec::new());
    follower.until_beat().await;
    let before = resident(&server);
    let mut http = Api::h2c(server.base());
    for number in 0..COUNT {
        if !http2 {
            streams.push(deaf(&server, &key).await);
            continue;
        }
        if number % 100 == 0 {
            http = Api::h2c(server.base());
        }
        let request = http.request(Method::GET, "/auth/revocations");
        let request = request.timeout(Duration::from_secs(600)).bearer_auth(&key);
        answers.push(request.send().await.expect("an answer"));
    }
    while subscribers(&server).await < COUNT + 2 {
        sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..3 {
        follower.until_beat().await;
    }
    let each = resident(&server).saturating_sub(before) / COUNT;
    println!("{each} bytes each");
    each
}

/// 10,000 are to fit into 200 MB; `bench/run --subscribers 10000` shows that of a release build, which takes a tenth less. Here it is seen
/// that nothing large is added for each: a buffer, say, or a task.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_followers_take_little_memory() {
    let each = memory_of_each(false).await;
    assert!(each < 17 * 1024, "{each} bytes each");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_2_they_take_less() {
    let each = memory_of_each(true).await;
    assert!(each < 6 * 1024, "{each} bytes each");
}
