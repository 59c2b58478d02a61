//! What it costs that many follow the feed of revocations, and how soon all of them are told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;
use crate::server::Server;

/// How many sign-outs are told to all.
const ROUNDS: usize = 50;

/// Open files beside those of the followers.
const SPARE: u64 = 200;

/// How long nothing but heartbeats is sent.
const IDLE: Duration = Duration::from_secs(10);

/// What all followers see together.
#[derive(Default)]
struct Seen {
    beats: AtomicU64,
    /// Everything, with what HTTP/1.1 puts around it.
    bytes: AtomicU64,
    /// When each was told of the sign-out at hand.
    told: Mutex<Vec<Instant>>,
}

impl Seen {
    /// Heartbeats and bytes so far.
    fn now(&self) -> (u64, u64) {
        let [beats, bytes] = [&self.beats, &self.bytes].map(|sum| sum.load(Ordering::Relaxed));
        (beats, bytes)
    }

    /// Bytes for each heartbeat since then.
    fn since(&self, (beats, bytes): (u64, u64)) -> f64 {
        let now = self.now();
        (now.1 - bytes) as f64 / (now.0 - beats) as f64
    }
}

/// Prints it for `count` followers of this server, which is not running yet.
pub(crate) async fn run(server: &mut Server, count: usize) -> Result<()> {
    raise_descriptors(count as u64 + SPARE)?;
    server.set(
        "COUNTERSIGN_MAX_CONNECTIONS",
        (2 * count + 1000).to_string(),
    );
    server.start().await?;
    let made = server.output(&["service-key", "create", "bench", "--scope", "feed"])?;
    let key = made.trim().to_owned();
    // The server reads of the key within half a second.
    sleep(Duration::from_secs(2)).await;
    let before = server.process().memory()?;

    let seen = Arc::new(Seen::default());
    let began = Instant::now();
    for _ in 0..count {
        let stream = follow(server.address(), &key).await?;
        tokio::spawn(read(stream, Arc::clone(&seen)));
    }
    println!(
        "{count} followers came within {:.1} s",
        began.elapsed().as_secs_f64()
    );
    sleep(Duration::from_secs(3)).await;
    let after = server.process().memory()?;
    println!(
        "resident {:.1} MiB before, {:.1} MiB with them: {:.1} KiB each",
        before.resident,
        after.resident,
        (after.resident - before.resident) * 1024.0 / count as f64
    );

    let (cpu, (beats, bytes)) = (server.process().cpu()?, seen.now());
    sleep(IDLE).await;
    let each = seen.since((beats, bytes));
    let cpu = (server.process().cpu()? - cpu).as_secs_f64() * 1e3 / IDLE.as_secs_f64();
    let beats = (seen.beats.load(Ordering::Relaxed) - beats) as f64 / IDLE.as_secs_f64();
    println!(
        "heartbeats: {beats:.0} a second, {cpu:.0} ms of CPU a second, {:.1} µs and {each:.0} bytes each",
        cpu * 1e3 / beats
    );

    let (beats, bytes) = seen.now();
    tell(server, &seen, count).await?;
    let (later, end) = seen.now();
    let entries = (end - bytes) as f64 - (later - beats) as f64 * each;
    println!(
        "{:.0} bytes for each sign-out and follower",
        entries / (ROUNDS * count) as f64
    );
    let end = server.process().memory()?;
    println!("resident {:.1} MiB at the end", end.resident);
    let began = Instant::now();
    server.stop().await?;
    println!("stopped within {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Ends sessions one by one, and prints when followers were told.
async fn tell(server: &Server, seen: &Seen, count: usize) -> Result<()> {
    let mut connection = Connection::open(server.address()).await?;
    let body = json!({"email": "ada@example.com", "password": "correct horse battery"});
    connection
        .post("/auth/register", &body, &[StatusCode::CREATED])
        .await?;
    let mut tokens = Vec::new();
    for _ in 0..ROUNDS {
        let answer = connection
            .post("/auth/login", &body, &[StatusCode::OK])
            .await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        tokens.push(answer["refresh_token"].clone());
    }
    let (mut delays, mut lasts) = (Vec::new(), Vec::new());
    for token in tokens {
        seen.told.lock().expect("no panic").clear();
        let body = json!({"refresh_token": token});
        connection
            .post("/auth/logout", &body, &[StatusCode::NO_CONTENT])
            .await?;
        let answered = Instant::now();
        while seen.told.lock().expect("no panic").len() < count {
            ensure!(
                answered.elapsed() < Duration::from_secs(10),
                "some were not told within 10 s"
            );
            sleep(Duration::from_millis(5)).await;
        }
        let told = seen.told.lock().expect("no panic");
        // Some are told before whoever signed out has read the answer.
        let milliseconds =
            |at: &Instant| at.saturating_duration_since(answered).as_secs_f64() * 1e3;
        let of_this: Vec<f64> = told.iter().map(milliseconds).collect();
        lasts.push(of_this.iter().copied().fold(0.0, f64::max));
        delays.extend(of_this);
    }
    delays.sort_by(f64::total_cmp);
    lasts.sort_by(f64::total_cmp);
    let part = |sorted: &[f64], share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    println!(
        "{ROUNDS} sign-outs, from the answer until a follower has read of it: median {:.1} ms, p99 {:.1} ms, max {:.1} ms; until the last of \
         {count} has: median {:.1} ms, max {:.1} ms",
        part(&delays, 0.5),
        part(&delays, 0.99),
        part(&delays, 1.0),
        part(&lasts, 0.5),
        part(&lasts, 1.0),
    );
    Ok(())
}

async fn follow(address: &str, key: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "GET /auth/revocations HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.context("no answer")?;
    ensure!(
        &status == b"HTTP/1.1 200",
        "{}",
        String::from_utf8_lossy(&status)
    );
    Ok(stream)
}

/// Looks for the names of events, which are short and come at the beginning of what was written at once.
async fn read(mut stream: TcpStream, seen: Arc<Seen>) {
    let mut bytes = vec![0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut bytes).await {
        let text = &bytes[..length];
        seen.bytes.fetch_add(length as u64, Ordering::Relaxed);
        let has = |name: &[u8]| {
            text.windows(name.len())
                .filter(|window| *window == name)
                .count()
        };
        seen.beats
            .fetch_add(has(b"event: heartbeat") as u64, Ordering::Relaxed);
        let told = has(b"event: revoked");
        if told > 0 {
            let now = Instant::now();
            seen.told
                .lock()
                .expect("no panic")
                .extend(std::iter::repeat_n(now, told));
        }
    }
}

/// One for each follower, here and in the server, which takes the limit over.
fn raise_descriptors(needed: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if let Some(most) = limit.maximum {
        ensure!(
            most >= needed,
            "so many followers need {needed} open files, and {most} are allowed: as root `ulimit -Hn {needed}` before this, or `--subscribers {}`",
            most.saturating_sub(SPARE)
        );
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raise the limit of open files")
}
