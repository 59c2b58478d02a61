//! The refresh script by itself: `redis-benchmark` calls it as the server does, on keys like the server's.
//!
//! One call of the server's is overheard by `MONITOR`. Its session's value is copied under many keys, of which each call
//! takes one at random: so many that nearly every call finds a session that it can rotate.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use redis::{Client, Connection, Value, cmd};

use crate::refreshes::spread;
use crate::server::Server;
use crate::work::{Client as User, Work};

/// Of `-r`, which takes the place of the last twelve characters of the session's id.
const KEYS: u64 = 500_000;
const CALLS: u64 = 20_000;
const TIMES: usize = 5;
const AT_ONCE: u64 = 10_000;
const RANDOM: &str = "__rand_int__";

const FILL: &str = "for i = ARGV[1], ARGV[2] do
  redis.call('SET', KEYS[1] .. string.format('%012d', i), ARGV[3], 'PX', 3600000)
end";

/// Connections, and commands that each sends before it reads.
const PATTERNS: [(u8, u8); 3] = [(50, 1), (50, 16), (1, 16)];

struct Call {
    sha: String,
    /// All but the last twelve characters of the key.
    key: String,
    /// From the generation on.
    arguments: Vec<String>,
    value: Vec<u8>,
}

/// Lines of a table.
pub(crate) async fn measure(server: &Server) -> Result<Vec<String>> {
    let url = server.redis().context("a server with Redis")?.to_owned();
    let mut user = User::prepare(server.address(), Work::Refresh).await?;
    let overhearing = {
        let url = url.clone();
        let (listens, listening) = tokio::sync::oneshot::channel();
        let overheard = tokio::task::spawn_blocking(move || overhear(&url, listens));
        listening.await.context("MONITOR")?;
        overheard
    };
    user.once().await?;
    let call = overhearing.await??;
    tokio::task::spawn_blocking(move || run_all(&url, &call)).await?
}

/// Waits for a call of the script.
fn overhear(url: &str, listens: tokio::sync::oneshot::Sender<()>) -> Result<Call> {
    let client = Client::open(url)?;
    let mut monitor = client.get_connection()?;
    monitor.send_packed_command(&cmd("MONITOR").get_packed_command())?;
    monitor.recv_response()?;
    monitor.set_read_timeout(Some(Duration::from_secs(10)))?;
    let _ = listens.send(());
    loop {
        let Value::SimpleString(line) = monitor.recv_response()? else {
            continue;
        };
        // `… "EVALSHA" "sha" "1" "key" "token" "generation" …`; only the token is not plain text.
        let Some((_, call)) = line.split_once("\"EVALSHA\" \"") else {
            continue;
        };
        let words: Vec<_> = call
            .strip_suffix('"')
            .unwrap_or(call)
            .split("\" \"")
            .collect();
        let [sha, _, key, _, arguments @ ..] = words.as_slice() else {
            continue;
        };
        // Others' scripts take fewer.
        let (Some(prefix), 8) = (key.get(..key.len() - RANDOM.len()), arguments.len()) else {
            continue;
        };
        let value: Vec<u8> = cmd("GET").arg(key).query(&mut client.get_connection()?)?;
        let mut arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
        // The value is what that call left.
        let generation: u32 = arguments[0].parse()?;
        arguments[0] = (generation + 1).to_string();
        return Ok(Call {
            sha: (*sha).to_owned(),
            key: prefix.to_owned(),
            arguments,
            value,
        });
    }
}

fn run_all(url: &str, call: &Call) -> Result<Vec<String>> {
    let mut redis = Client::open(url)?.get_connection()?;
    let mut lines = vec![
        format!(
            "The refresh script alone, by {}: {CALLS} calls on {KEYS} keys, {TIMES} times\n",
            version()?
        ),
        "| connections | pipelined | per second (least–most) | Redis CPU µs (least–most) | rotated |".to_owned(),
        "| --: | --: | --: | --: | --: |".to_owned(),
    ];
    for (connections, pipelined) in PATTERNS {
        let (mut per_second, mut cpu, mut rotated) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..TIMES {
            fill(&mut redis, call)?;
            let before = used(&mut redis)?;
            per_second.push(run(url, call, connections, pipelined)?);
            cpu.push((used(&mut redis)? - before) * 1e6 / CALLS as f64);
            rotated.push(rotations(&mut redis, call)? * 100.0 / CALLS as f64);
        }
        lines.push(format!(
            "| {connections} | {pipelined} | {} | {} | {:.0} % |",
            spread(&per_second, 0),
            spread(&cpu, 1),
            crate::statistics::median(&rotated)
        ));
    }
    cmd("FLUSHDB").query::<()>(&mut redis)?;
    Ok(lines)
}

fn fill(redis: &mut Connection, call: &Call) -> Result<()> {
    for first in (0..KEYS).step_by(AT_ONCE as usize) {
        let mut eval = cmd("EVAL");
        eval.arg(FILL).arg(1).arg(&call.key).arg(first);
        eval.arg(first + AT_ONCE - 1).arg(&call.value);
        eval.query::<()>(redis)?;
    }
    Ok(())
}

/// Calls per second, as `redis-benchmark` counts them.
fn run(url: &str, call: &Call, connections: u8, pipelined: u8) -> Result<f64> {
    let port = url.rsplit(':').next().context("a port")?;
    let output = Command::new("redis-benchmark")
        .args(["-h", "127.0.0.1", "-p", port, "--csv"])
        .args(["-n", &CALLS.to_string(), "-r", &KEYS.to_string()])
        .args(["-c", &connections.to_string()])
        .args(["-P", &pipelined.to_string()])
        .args(["EVALSHA", &call.sha, "1", &format!("{}{RANDOM}", call.key)])
        // A token like the server's in length; it is not used where the session is there.
        .arg("0123456789abcdef")
        .args(&call.arguments)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "redis-benchmark: {said}");
    // The test's name, then eight figures; the first is the rate.
    let rate = said.lines().last().and_then(|line| line.rsplit(',').nth(6));
    let rate = rate.context("a line of figures")?.trim_matches('"').parse();
    rate.with_context(|| format!("redis-benchmark: {said}"))
}

/// Seconds of CPU that Redis has used.
fn used(redis: &mut Connection) -> Result<f64> {
    let info: String = cmd("INFO").arg("cpu").query(redis)?;
    let seconds = |name: &str| -> Result<f64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        Ok(line.context("a line of INFO")?.trim().parse()?)
    };
    Ok(seconds("used_cpu_sys:")? + seconds("used_cpu_user:")?)
}

/// How many sessions are no longer as they were.
fn rotations(redis: &mut Connection, call: &Call) -> Result<f64> {
    const COUNT: &str = "local n = 0
for i = ARGV[1], ARGV[2] do
  if redis.call('GET', KEYS[1] .. string.format('%012d', i)) ~= ARGV[3] then n = n + 1 end
end
return n";
    let mut sum: u64 = 0;
    for first in (0..KEYS).step_by(AT_ONCE as usize) {
        let mut eval = cmd("EVAL");
        eval.arg(COUNT).arg(1).arg(&call.key).arg(first);
        eval.arg(first + AT_ONCE - 1).arg(&call.value);
        sum += eval.query::<u64>(redis)?;
    }
    Ok(sum as f64)
}

/// What `redis-benchmark` calls itself.
pub(crate) fn version() -> Result<String> {
    let output = Command::new("redis-benchmark").arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
