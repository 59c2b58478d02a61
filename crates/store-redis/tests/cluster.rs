//! A Cluster of one's own, of which slots move and servers die.

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use countersign_domain::rotation::{Dead, EndReason};
use countersign_store::RefreshOutcome;
use countersign_store::contract::kit::{self, at};
use countersign_store_redis::RedisStore;
use support::{instance, settings};
use tempfile::TempDir;

/// Removed, with its servers, when it is dropped.
struct Cluster {
    folder: TempDir,
    url: String,
}

fn script(arguments: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/redis");
    let output = Command::new(script).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl Cluster {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let url = script(&["cluster", folder.path().to_str().unwrap()]);
        Self { folder, url }
    }

    fn ports(&self) -> Vec<String> {
        let hosts = self.url.split("://").nth(1).unwrap();
        hosts
            .split(',')
            .map(|host| host.rsplit(':').next().unwrap().to_owned())
            .collect()
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let output = Command::new("redis-cli").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn kill(&self, port: &str) {
        let file = self.folder.path().join(format!("{port}.pid"));
        let id = std::fs::read_to_string(file).unwrap();
        let killed = Command::new("kill").args(["-KILL", id.trim()]).status();
        assert!(killed.unwrap().success());
    }

    fn start_again(&self, port: &str, number: usize) {
        let folder = self.folder.path().to_str().unwrap();
        let nodes = format!("nodes-{number}.conf");
        let started = Command::new(support::program())
            .args([
                "--port",
                port,
                "--bind",
                "127.0.0.1",
                "--dir",
                folder,
                "--save",
                "",
            ])
            .args(["--cluster-enabled", "yes", "--cluster-config-file", &nodes])
            .args(["--cluster-node-timeout", "2000", "--daemonize", "yes"])
            .args(["--pidfile", &format!("{folder}/{port}.pid")])
            .status();
        assert!(started.unwrap().success());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        script(&["stop", self.folder.path().to_str().unwrap()]);
    }
}

async fn becomes_trusted(store: &RedisStore) {
    for _ in 0..1200 {
        if store.is_trusted() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("Redis did not become trusted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_and_a_server_dies() {
    let cluster = Cluster::start();
    let fresh = support::sqlite();
    let mut hasty = settings(&cluster.url);
    hasty.patience.answer = Duration::from_millis(500);
    let store = instance(&fresh, hasty).await;
    becomes_trusted(&store).await;
    let user = kit::user(&store).await;
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(kit::open(&store, user.id, at(0)).await.id);
    }
    let refresh_all = async |generation: u32| {
        for id in &sessions {
            let now = at(i64::from(generation));
            let grant = kit::refreshed(&store, *id, generation, now).await.grant;
            assert_eq!(grant.state.generation, generation + 1);
        }
    };
    refresh_all(0).await;
    let ports = cluster.ports();
    let id = |port: &str| {
        cluster
            .cli(&["-p", port, "cluster", "myid"])
            .trim()
            .to_owned()
    };
    let (from, to, place) = (
        id(&ports[0]),
        id(&ports[1]),
        format!("127.0.0.1:{}", ports[0]),
    );
    let moving = {
        let arguments: Vec<String> = [
            "--cluster",
            "reshard",
            &place,
            "--cluster-from",
            &from,
            "--cluster-to",
            &to,
            "--cluster-slots",
            "3000",
            "--cluster-yes",
        ]
        .map(str::to_owned)
        .to_vec();
        tokio::task::spawn_blocking(move || {
            Command::new("redis-cli").args(arguments).output().unwrap()
        })
    };
    let mut generation = 1;
    while !moving.is_finished() || generation < 4 {
        refresh_all(generation).await;
        generation += 1;
    }
    let moved = moving.await.unwrap();
    assert!(
        moved.status.success(),
        "{}",
        String::from_utf8_lossy(&moved.stdout)
    );
    refresh_all(generation).await;
    // Its servers lose a third of the keys, and the Cluster takes nothing until it is back.
    cluster.kill(&ports[2]);
    refresh_all(generation + 1).await;
    let now = at(i64::from(generation) + 1);
    for id in &sessions[..10] {
        kit::logout(&store, *id, now).await;
    }
    cluster.start_again(&ports[2], 3);
    becomes_trusted(&store).await;
    let newest = generation + 2;
    let now = at(i64::from(newest));
    let logged_out = Dead::Ended(EndReason::Logout);
    for id in &sessions[..10] {
        let outcome = kit::refresh(&store, *id, newest, now).await;
        let dead = matches!(outcome, RefreshOutcome::Dead { dead, .. } if dead == logged_out);
        assert!(dead, "{outcome:?}");
    }
    for id in &sessions[10..14] {
        kit::refreshed(&store, *id, newest, now).await;
        let outcome = kit::refresh(&store, *id, 1, now).await;
        assert!(
            matches!(outcome, RefreshOutcome::Reused { .. }),
            "{outcome:?}"
        );
    }
}
