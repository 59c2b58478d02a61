//! Two instances on one PostgreSQL and one Redis behind nginx and behind HAProxy, which run the very files of `deploy/`.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use countersign_tests::feed::Follower;
use countersign_tests::proxies::{Kind, Proxy, free_port};
use countersign_tests::server::ROOT_SECRET;
use countersign_tests::{Answer, Api, Backend, Random, Server, Setup, within_a_second};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

const PASSWORD: &str = "correct horse battery";

/// What `deploy/` says, shorter: the health checks of HAProxy come once a second.
const DRAIN: &str = "3";

macro_rules! behind_each_proxy {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use super::Kind;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn nginx() {
                super::$name(Kind::Nginx).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn haproxy() {
                super::$name(Kind::Haproxy).await;
            }
        }
    )+};
}

behind_each_proxy!(
    a_life_through_the_proxy,
    limits_count_the_address_of_the_client,
    a_rolling_restart_fails_nobody,
    a_killed_instance_costs_no_refresh,
    the_feed_goes_through_as_it_comes,
    refusals_of_the_proxy_are_problems,
);

/// Two instances on ports that stay theirs through restarts.
async fn two() -> [Server; 2] {
    let redis = std::env::var("COUNTERSIGN_TEST_REDIS")
        .expect("COUNTERSIGN_TEST_REDIS names no Redis: run the tests with `scripts/test`");
    let mut random = Random::from_environment();
    let mut first = Setup::new(Backend::Postgres)
        .with_limits()
        .set("COUNTERSIGN_SECRET", ROOT_SECRET)
        .set("REDIS_URL", redis)
        .set("TRUSTED_PROXIES", "127.0.0.1")
        .set("COUNTERSIGN_DRAIN_SECONDS", DRAIN)
        .set("COUNTERSIGN_ISSUER", "https://auth.example.com")
        .prepare()
        .await;
    let mut place = || format!("127.0.0.1:{}", free_port(&mut random));
    let (one, two) = (place(), place());
    // The sibling takes over what the first is set to.
    first.set("COUNTERSIGN_ADDR", &two);
    let second = first.sibling().await;
    first.set("COUNTERSIGN_ADDR", &one);
    first.launch().await;
    [first, second]
}

async fn in_front_of(kind: Kind, instances: &[Server; 2]) -> Proxy {
    let [a, b] = instances;
    Proxy::start(kind, [a.address(), b.address()], &[]).await
}

/// An address that no other client has.
fn address(number: u16) -> Ipv4Addr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(127, 20, high, low)
}

async fn a_life_through_the_proxy(kind: Kind) {
    let instances = two().await;
    let proxy = in_front_of(kind, &instances).await;
    let api = proxy.client(address(1));
    let mut tokens = api.new_session("ada@example.com", PASSWORD).await;
    for _ in 0..8 {
        tokens = api.refresh(&tokens.refresh).await.tokens();
        api.me(&tokens.access).await.expect(200);
    }
    // The address is the client's, on whichever instance, and not the proxy's.
    let list = api
        .with_token(Method::GET, "/auth/sessions", &tokens.access, Value::Null)
        .await;
    assert_eq!(list.expect(200)["items"][0]["ip"], address(1).to_string());
    api.logout(&tokens.refresh).await.expect(204);
    within_a_second("a sign-out", async || {
        api.me(&tokens.access).await.status == 401
    })
    .await;
    api.refresh(&tokens.refresh).await.expect(401);
    // Links are the issuer's, whatever a client says that its host is.
    let path = "/.well-known/oauth-authorization-server";
    let forged = api.request(Method::GET, path);
    let forged = forged.header("X-Forwarded-Host", "evil.example.net");
    let metadata = Api::send(forged).await;
    assert_eq!(metadata.expect(200)["issuer"], "https://auth.example.com");
    assert!(!metadata.text.contains("evil"), "{metadata:?}");
    api.get("/healthz").await.expect(200);
    api.get("/readyz").await.expect(200);
    for path in ["/metrics", "//metrics", "/%6detrics"] {
        let answer = api.get(path).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
    }
    // What is too long for the server is too long for the proxy, or is told so by the server.
    let long = "x".repeat(70 * 1024);
    let answer = api.post("/auth/login", json!({"email": long})).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

async fn limits_count_the_address_of_the_client(kind: Kind) {
    let instances = two().await;
    let proxy = in_front_of(kind, &instances).await;
    let try_wrong = async |api: &Api, number: u8| {
        let body =
            json!({"email": format!("nobody{number}@example.com"), "password": "wrong password"});
        let request = api.request(Method::POST, "/auth/login").json(&body);
        // A forged address must neither save the one who forges it nor count against another.
        let forged = request
            .header(
                "X-Forwarded-For",
                format!("198.51.100.{number}, {}", address(3)),
            )
            .header("Forwarded", format!("for=198.51.100.{number}"));
        Api::send(forged).await
    };
    let guesser = proxy.client(address(2));
    for number in 0..5 {
        let answer = try_wrong(&guesser, number).await;
        answer.expect_problem(401, "invalid_credentials");
    }
    let answer = try_wrong(&guesser, 5).await;
    answer.expect_problem(429, "rate_limited");
    let other = proxy.client(address(3));
    let answer = try_wrong(&other, 6).await;
    answer.expect_problem(401, "invalid_credentials");

    // Whoever reaches an instance without the proxy, from an address that is not the proxy's, is believed nothing either.
    let direct = Api::from_address(instances[0].base(), address(4));
    for number in 10..15 {
        let answer = try_wrong(&direct, number).await;
        answer.expect_problem(401, "invalid_credentials");
    }
    let answer = try_wrong(&direct, 15).await;
    answer.expect_problem(429, "rate_limited");
}

/// What clients met with while they worked.
#[derive(Default)]
struct Met {
    refreshed: AtomicU64,
    signed_in: AtomicU64,
    /// Sign-ins and sign-outs that got no answer of the server's: they may have been done.
    unsure: AtomicU64,
}

/// Works until told to stop: refreshes, asks who it is, and now and then signs out and in again. Every refresh and every
/// question must be answered as if nothing went on; where `sure` so must everything else.
async fn work(api: Api, email: String, sure: bool, stop: Arc<AtomicBool>, met: Arc<Met>) {
    let mut tokens = api.login(&email, PASSWORD).await.tokens();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        tokens = api.refresh(&tokens.refresh).await.tokens();
        met.refreshed.fetch_add(1, Ordering::Relaxed);
        for _ in 0..4 {
            assert_eq!(api.me(&tokens.access).await.expect(200)["email"], email);
            sleep(Duration::from_millis(60)).await;
        }
        if round % 16 != 0 {
            continue;
        }
        let body = json!({"refresh_token": tokens.refresh});
        let logout = api.request(Method::POST, "/auth/logout").json(&body);
        unless_cut_off(logout, 204, sure, &met).await;
        loop {
            let body = json!({"email": email, "password": PASSWORD});
            let login = api.request(Method::POST, "/auth/login").json(&body);
            if let Some(answer) = unless_cut_off(login, 200, sure, &met).await {
                tokens = answer.tokens();
                met.signed_in.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
}

/// Sends what is not sent twice by itself. Where not `sure`, the instance may go away meanwhile: then the proxy says 503, or
/// resets the stream.
async fn unless_cut_off(
    request: reqwest::RequestBuilder,
    status: u16,
    sure: bool,
    met: &Met,
) -> Option<Answer> {
    match Api::try_send(request).await {
        Ok(answer) if answer.status == status => return Some(answer),
        Ok(answer) => {
            assert!(!sure, "{answer:?}");
            answer.expect(503);
            assert_eq!(answer.code(), "unavailable");
        }
        Err(error) => assert!(!sure && !error.is_timeout(), "{error:?}"),
    }
    met.unsure.fetch_add(1, Ordering::Relaxed);
    None
}

/// Clients at work, and what they met with so far.
struct Work {
    stop: Arc<AtomicBool>,
    met: Arc<Met>,
    clients: Vec<tokio::task::JoinHandle<()>>,
}

impl Work {
    async fn begin(proxy: &Proxy, sure: bool) -> Work {
        let (stop, met) = (Arc::<AtomicBool>::default(), Arc::<Met>::default());
        let mut clients = Vec::new();
        for number in 0..16 {
            let api = proxy.client(address(100 + number));
            let email = format!("user{number}@example.com");
            api.register(&email, PASSWORD).await.expect(201);
            let working = work(api, email, sure, stop.clone(), met.clone());
            clients.push(tokio::spawn(working));
        }
        Work { stop, met, clients }
    }

    async fn end(self) -> Arc<Met> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("every answer as it must be");
        }
        self.met
    }
}

async fn a_rolling_restart_fails_nobody(kind: Kind) {
    let mut instances = two().await;
    let proxy = in_front_of(kind, &instances).await;
    let work = Work::begin(&proxy, true).await;
    for instance in &mut instances {
        let base = instance.base().to_owned();
        instance.signal(rustix::process::Signal::TERM);
        // It says so, and goes on answering.
        within_a_second("not ready", async || {
            Api::new(&base).get("/readyz").await.status == 503
        })
        .await;
        Api::new(&base).get("/healthz").await.expect(200);
        let status = instance.wait(Duration::from_secs(15)).await;
        assert_eq!(status.code(), Some(0));
        instance.launch().await;
        // As an operator waits for `/readyz`, and the proxy for two checks of its own.
        sleep(Duration::from_millis(2_500)).await;
    }
    let met = work.end().await;
    let [a, b] = &instances;
    let path = "/.well-known/jwks.json";
    let keys = a.api().get(path).await.expect(200);
    assert_eq!(keys, b.api().get(path).await.expect(200), "one key set");
    let (refreshed, signed_in) = (
        met.refreshed.load(Ordering::Relaxed),
        met.signed_in.load(Ordering::Relaxed),
    );
    println!("{refreshed} refreshes, {signed_in} sign-ins, none failed");
    assert!(refreshed > 100 && signed_in > 3, "{refreshed}, {signed_in}");
}

async fn a_killed_instance_costs_no_refresh(kind: Kind) {
    let mut instances = two().await;
    let proxy = in_front_of(kind, &instances).await;
    let work = Work::begin(&proxy, false).await;
    for _ in 0..3 {
        for instance in &mut instances {
            sleep(Duration::from_millis(400)).await;
            instance.kill();
            sleep(Duration::from_millis(600)).await;
            instance.launch().await;
            // Until the proxy sends it something again: two killed at once would be another test.
            sleep(Duration::from_millis(2_500)).await;
        }
    }
    let met = work.end().await;
    let (refreshed, unsure) = (
        met.refreshed.load(Ordering::Relaxed),
        met.unsure.load(Ordering::Relaxed),
    );
    println!("{refreshed} refreshes, none failed; {unsure} sign-ins and sign-outs were cut off");
    assert!(refreshed > 100, "{refreshed}");
}

/// The feed: each event at once, longer than any time limit of the proxy, and on from the last `id` with whichever instance is there.
async fn the_feed_goes_through_as_it_comes(kind: Kind) {
    let mut instances = two().await;
    let key = instances[0].feed_key("api");
    let proxy = in_front_of(kind, &instances).await;
    let api = proxy.client(address(5));
    let mut follower = Follower::new(&key);
    within_a_second("the key", async || {
        follower.follow_through(&api).await == 200
    })
    .await;
    follower.until_beat().await;
    api.register("ada@example.com", PASSWORD).await.expect(201);
    let mut last = Instant::now();
    // HAProxy gives up a silent client after 60 seconds, and both a silent instance after 30.
    let end = last + Duration::from_secs(65);
    let mut told = 0;
    while last < end {
        follower.until_beat().await;
        let gap = last.elapsed();
        // Held back, several would come at once.
        assert!(gap < Duration::from_millis(2_500), "{gap:?}");
        last = Instant::now();
        if told < 5 {
            let tokens = api.login("ada@example.com", PASSWORD).await.tokens();
            api.logout(&tokens.refresh).await.expect(204);
            let began = Instant::now();
            told += 1;
            while follower.known.len() < told {
                follower.next(Duration::from_secs(5)).await.unwrap();
            }
            let took = began.elapsed();
            assert!(took < Duration::from_secs(1), "{took:?}");
            last = Instant::now();
        }
    }
    assert_eq!(follower.snapshots, 1);
    let beats = follower.beats;
    assert!((60..80).contains(&beats), "{beats} heartbeats");

    // Whichever it is that it follows.
    let [one, other] = &mut instances;
    let answered = |line: &str| line.contains(r#"route="/auth/revocations" status=200"#);
    let followed = match one.log().lines().any(answered) {
        true => one,
        false => other,
    };
    followed.kill();
    follower.until_end(Duration::from_secs(5)).await;
    within_a_second("the other instance", async || {
        follower.follow_through(&api).await == 200
    })
    .await;
    follower.until_beat().await;
    assert_eq!(follower.snapshots, 1, "it went on from its last id");
}

/// An nginx that keeps whatever it may, under a key that tells neither users nor methods apart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caching_nginx_gives_nobody_the_answer_of_another() {
    let instances = two().await;
    let [a, b] = &instances;
    let caching = (
        "server_name auth.example.com;",
        "server_name auth.example.com;\n proxy_cache kept; proxy_cache_key $uri; proxy_cache_methods GET HEAD POST;\n \
         add_header X-Kept $upstream_cache_status always;",
    );
    let place = (
        "limit_req_status 429;",
        "limit_req_status 429;\n proxy_cache_path kept keys_zone=kept:1m;",
    );
    let proxy = Proxy::start(Kind::Nginx, [a.address(), b.address()], &[caching, place]).await;
    let users = ["ada", "grace"].map(|name| format!("{name}@example.com"));
    let clients = [proxy.client(address(6)), proxy.client(address(7))];
    for _ in 0..3 {
        for (api, email) in clients.iter().zip(&users) {
            let answer = api.register(email, PASSWORD).await;
            assert!(matches!(answer.status, 201 | 409), "{answer:?}");
            assert_ne!(answer.header("x-kept"), "HIT");
            let answer = api.login(email, PASSWORD).await;
            assert_ne!(answer.header("x-kept"), "HIT");
            let old = answer.tokens();
            let answer = api.refresh(&old.refresh).await;
            assert_ne!(answer.header("x-kept"), "HIT");
            let tokens = answer.tokens();
            assert_ne!(tokens.refresh, old.refresh);
            for path in ["/auth/me", "/auth/sessions"] {
                let request = api.request(Method::GET, path).bearer_auth(&tokens.access);
                let answer = Api::send(request).await;
                assert_ne!(answer.header("x-kept"), "HIT", "{path}");
                assert!(
                    answer.header("cache-control").contains("no-store"),
                    "{path}"
                );
                answer.expect(200);
            }
            assert_eq!(&api.me(&tokens.access).await.expect(200)["email"], email);
            // Nor is a refusal kept for those who may.
            assert_eq!(api.get("/auth/me").await.status, 401);
        }
    }
    // That it keeps anything at all: the key set, which everybody may see.
    let path = "/.well-known/jwks.json";
    let first = clients[0].get(path).await;
    let second = clients[1].get(path).await;
    assert_eq!(second.header("x-kept"), "HIT", "{first:?} {second:?}");
    assert_eq!(first.expect(200), second.expect(200));
}

/// What the proxy says by itself is a problem like those of the server, with the time to wait.
async fn refusals_of_the_proxy_are_problems(kind: Kind) {
    // Nobody listens there.
    let mut random = Random::from_environment();
    let nobody = format!("127.0.0.1:{}", free_port(&mut random));
    let proxy = Proxy::start(kind, [&nobody, &nobody], &[]).await;
    let api = proxy.client(address(8));
    for path in ["/auth/me", "/auth/revocations"] {
        let answer = api.get(path).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.code(), "unavailable", "{answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.header("retry-after"), "1");
    }
    let answer = api.refresh("cs_rt_x").await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "unavailable")
    );
    // A flood from one address, and meanwhile somebody else.
    let mut refused = None;
    for _ in 0..40 {
        let answer = api.login("ada@example.com", PASSWORD).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("40 sign-ins in a moment are a flood");
    assert_eq!(refused.code(), "rate_limited");
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(refused.header("retry-after"), "30");
    let answer = proxy
        .client(address(9))
        .login("ada@example.com", PASSWORD)
        .await;
    assert_eq!(answer.status, 503);
}
