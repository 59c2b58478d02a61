//! How Redis is laid out in a campaign.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::proxy::Proxy;
use crate::Random;
use crate::redis::{Redis, Reply};

/// The name of the master that Sentinels watch.
const MASTER: &str = "countersign";

/// The servers of one Redis.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The one; or first the master, then its replica; or all of the Cluster.
    pub(crate) servers: Vec<Redis>,
    pub(crate) sentinels: Vec<Redis>,
    /// Between each instance and the one. Sentinels and Clusters name their servers themselves, so no wire lies between.
    pub(crate) wires: Vec<Proxy>,
    /// `REDIS_URL` of each instance.
    pub(crate) urls: Vec<String>,
}

impl Layout {
    /// One server.
    pub(crate) async fn single(random: &mut Random, instances: usize) -> Layout {
        let redis = Redis::start(random, &[]).await;
        let target: SocketAddr = redis.address().parse().expect("address");
        let (mut wires, mut urls) = (Vec::new(), Vec::new());
        for _ in 0..instances {
            let wire = Proxy::to(target).await;
            urls.push(format!("redis://{}", wire.address));
            wires.push(wire);
        }
        Layout {
            servers: vec![redis],
            sentinels: Vec::new(),
            wires,
            urls,
        }
    }

    /// A master, a replica, and three Sentinels, two of which must agree.
    pub(crate) async fn sentinel(random: &mut Random, instances: usize) -> Layout {
        let master = Redis::start(random, &[]).await;
        let replica = Redis::start(
            random,
            &["--replicaof", "127.0.0.1", &master.port.to_string()],
        )
        .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            let sentinel = Redis::start(random, &["--sentinel"]).await;
            let port = master.port.to_string();
            sentinel
                .must(&["SENTINEL", "MONITOR", MASTER, "127.0.0.1", &port, "2"])
                .await;
            for (name, value) in [
                ("down-after-milliseconds", "1000"),
                ("failover-timeout", "4000"),
            ] {
                sentinel
                    .must(&["SENTINEL", "SET", MASTER, name, value])
                    .await;
            }
            sentinels.push(sentinel);
        }
        let hosts: Vec<String> = sentinels.iter().map(Redis::address).collect();
        let url = format!("redis-sentinel://{}/{MASTER}", hosts.join(","));
        let layout = Layout {
            servers: vec![master, replica],
            sentinels,
            wires: Vec::new(),
            urls: vec![url; instances],
        };
        layout.settled().await;
        layout
    }

    /// Three masters, each with a replica.
    pub(crate) async fn cluster(random: &mut Random, instances: usize) -> Layout {
        let mut servers = Vec::new();
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500"];
        for _ in 0..6 {
            servers.push(Redis::start(random, &options).await);
        }
        let nodes: Vec<String> = servers.iter().map(Redis::address).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(nodes.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        redis_cli(&arguments).await;
        let url = format!("redis-cluster://{}", nodes.join(","));
        let layout = Layout {
            servers,
            sentinels: Vec::new(),
            wires: Vec::new(),
            urls: vec![url; instances],
        };
        layout.settled().await;
        layout
    }

    /// Waits until every server runs in its place, so that the next fault finds the whole of it.
    pub(crate) async fn settled(&self) {
        let began = Instant::now();
        while !self.is_settled().await {
            assert!(
                began.elapsed() < Duration::from_secs(40),
                "Redis does not find itself again"
            );
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn is_settled(&self) -> bool {
        let mut replicas = 0;
        for server in &self.servers {
            let Ok(info) = server.ask(&["INFO", "replication"]).await else {
                return false;
            };
            if info.text().contains("role:slave") {
                if !info.text().contains("master_link_status:up") {
                    return false;
                }
                replicas += 1;
            }
            let state = server.ask(&["CLUSTER", "INFO"]).await;
            if state.is_ok_and(|state| state.text().contains("cluster_state:fail")) {
                return false;
            }
        }
        for sentinel in &self.sentinels {
            let known = sentinel.must(&["SENTINEL", "REPLICAS", MASTER]).await;
            let others = sentinel.must(&["SENTINEL", "SENTINELS", MASTER]).await;
            let count = |reply: &Reply| match reply {
                Reply::Many(many) => many.len(),
                _ => 0,
            };
            if count(&known) != replicas || count(&others) != 2 {
                return false;
            }
        }
        replicas == self.servers.len() / 2
    }

    /// Waits until a replica has taken the place of this master, which does not answer.
    pub(crate) async fn replaced(&self, dead: usize) {
        let began = Instant::now();
        loop {
            let mut masters = 0;
            for (number, server) in self.servers.iter().enumerate() {
                if number == dead {
                    continue;
                }
                masters += usize::from(server.info("role").await == "master");
            }
            if masters == self.servers.len() / 2 {
                return;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "no replica is promoted"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The number of some master, for now.
    pub(crate) async fn master(&self) -> usize {
        for (number, server) in self.servers.iter().enumerate() {
            if server.is_running() && server.info("role").await == "master" {
                return number;
            }
        }
        panic!("no master among {} servers", self.servers.len());
    }

    /// Whether the instances have put anything there.
    pub(crate) async fn is_used(&self) -> bool {
        for server in &self.servers {
            if server.must(&["DBSIZE"]).await.text() != "0" {
                return true;
            }
        }
        false
    }
}

/// Runs `redis-cli`, which knows how to make and to change Clusters.
pub(crate) async fn redis_cli(arguments: &[&str]) {
    let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        std::process::Command::new("redis-cli")
            .args(&arguments)
            .output()
    });
    let output = running.await.expect("join").expect("run redis-cli");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "redis-cli failed: {text}");
}
