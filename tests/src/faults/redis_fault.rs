//! The faults of Redis: of one server, of a master that Sentinels watch, and of a Cluster.

use std::time::Duration;

use rustix::process::Signal;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::fault::{Damage, Reach};
use super::layout::{Layout, redis_cli};

/// Something that goes wrong with Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RedisFault {
    /// `kill -9`; started again, it is empty.
    Killed,
    /// `SIGSTOP`, `SIGCONT`.
    Frozen,
    /// `FLUSHALL`, again and again.
    Flushed,
    /// No memory is left, and this is what `maxmemory-policy` does about it.
    Full(&'static str),
    /// At the end it is started again with what it had saved at the beginning.
    OldDump,
    /// The wires between it and these instances do this.
    Wire(Damage, Reach),
    /// The replica hears nothing any more, then the master is killed, and Sentinels promote the replica.
    Promoted,
    /// A master is frozen until its replica has taken its place, and then goes on as if it were still master.
    Deposed,
    /// Slots of a Cluster move from one master to another.
    SlotsMoved,
    /// A master of a Cluster is killed, and its replica takes over.
    MasterKilled,
}

const SINGLE: [RedisFault; 16] = [
    RedisFault::Killed,
    RedisFault::Frozen,
    RedisFault::Flushed,
    RedisFault::Full("noeviction"),
    RedisFault::Full("allkeys-lru"),
    RedisFault::Full("allkeys-lfu"),
    RedisFault::Full("allkeys-random"),
    RedisFault::Full("volatile-lru"),
    RedisFault::Full("volatile-lfu"),
    RedisFault::Full("volatile-random"),
    RedisFault::Full("volatile-ttl"),
    RedisFault::OldDump,
    RedisFault::Wire(Damage::Cut, Reach::One(1)),
    RedisFault::Wire(Damage::Silent, Reach::One(1)),
    RedisFault::Wire(Damage::Torn, Reach::One(1)),
    RedisFault::Wire(Damage::Slow, Reach::All),
];

/// A fault that lasts.
#[derive(Debug)]
pub(crate) enum Lasting {
    Quietly,
    Repeating(JoinHandle<()>),
    Number(usize),
}

impl RedisFault {
    pub(crate) fn of_single() -> &'static [RedisFault] {
        &SINGLE
    }

    pub(crate) fn of_sentinel() -> &'static [RedisFault] {
        &[RedisFault::Promoted, RedisFault::Deposed]
    }

    pub(crate) fn of_cluster() -> &'static [RedisFault] {
        &[
            RedisFault::SlotsMoved,
            RedisFault::MasterKilled,
            RedisFault::Deposed,
        ]
    }

    pub(crate) fn name(self) -> String {
        match self {
            RedisFault::Killed => "Redis killed (`kill -9`), restarted empty".into(),
            RedisFault::Frozen => "Redis frozen (`SIGSTOP`)".into(),
            RedisFault::Flushed => "Redis flushed again and again".into(),
            RedisFault::Full(policy) => format!("Redis full, `{policy}`"),
            RedisFault::OldDump => "Redis restarted from an old dump".into(),
            RedisFault::Wire(damage, reach) => {
                format!("{} to Redis: {}", reach.name(), damage.name())
            }
            RedisFault::Promoted => "Redis replica that is behind promoted by Sentinel".into(),
            RedisFault::Deposed => "Redis master frozen, replaced, and back".into(),
            RedisFault::SlotsMoved => "Redis Cluster: slots moved".into(),
            RedisFault::MasterKilled => "Redis Cluster: master killed".into(),
        }
    }

    pub(crate) fn lasts(self) -> Duration {
        match self {
            // Being found dead takes a second or two, and being replaced another.
            RedisFault::Promoted | RedisFault::MasterKilled | RedisFault::Deposed => {
                Duration::from_secs(6)
            }
            _ => Duration::from_secs(2),
        }
    }

    /// Forgets what it had been told. Together with an instance that is killed in the same second, a rotation that
    /// only those two knew of is forgotten, which is documented.
    pub(crate) fn forgets(self) -> bool {
        !matches!(
            self,
            RedisFault::Frozen | RedisFault::Wire(..) | RedisFault::SlotsMoved
        )
    }

    /// Some instances can use it meanwhile, and others cannot.
    pub(crate) fn parts(self) -> bool {
        match self {
            RedisFault::Wire(damage, _) => damage != Damage::Slow,
            RedisFault::Full(_) | RedisFault::Deposed => true,
            _ => false,
        }
    }

    pub(crate) async fn begin(self, redis: &mut Layout) -> Lasting {
        match self {
            RedisFault::Killed => redis.servers[0].kill(),
            RedisFault::Frozen => redis.servers[0].signal(Signal::STOP),
            RedisFault::Flushed => return Lasting::Repeating(flush_on_and_on(redis)),
            RedisFault::Full(policy) => {
                let server = &redis.servers[0];
                server
                    .must(&["CONFIG", "SET", "maxmemory-policy", policy])
                    .await;
                server.must(&["CONFIG", "RESETSTAT"]).await;
                return Lasting::Repeating(fill_up(server.port, policy == "noeviction"));
            }
            RedisFault::OldDump => {
                redis.servers[0].must(&["SAVE"]).await;
            }
            RedisFault::Wire(damage, reach) => {
                for one in reach.range(redis.wires.len()) {
                    redis.wires[one].set(damage.wire());
                }
            }
            RedisFault::Promoted => {
                let master = redis.master().await;
                // From nowhere nothing comes. Sentinels would put this right only after eight seconds.
                redis.servers[1 - master]
                    .must(&["REPLICAOF", "127.0.0.1", "1"])
                    .await;
                sleep(Duration::from_millis(1500)).await;
                redis.servers[master].kill();
                return Lasting::Number(master);
            }
            RedisFault::SlotsMoved => move_slots(redis).await,
            RedisFault::MasterKilled => {
                let master = redis.master().await;
                redis.servers[master].kill();
                return Lasting::Number(master);
            }
            RedisFault::Deposed => {
                let master = redis.master().await;
                redis.servers[master].signal(Signal::STOP);
                return Lasting::Number(master);
            }
        }
        Lasting::Quietly
    }

    /// Ends it. Answers what is wrong with the fault itself: a Redis that was not full shows nothing.
    pub(crate) async fn end(self, lasting: Lasting, redis: &mut Layout) -> Option<&'static str> {
        if let Lasting::Repeating(repeating) = &lasting {
            repeating.abort();
        }
        match (self, lasting) {
            (RedisFault::Killed, _) => redis.servers[0].start_again().await,
            (RedisFault::Frozen, _) => redis.servers[0].signal(Signal::CONT),
            (RedisFault::Full(policy), Lasting::Repeating(repeating)) => {
                let _ = repeating.await;
                let server = &redis.servers[0];
                let was_full = match policy {
                    "noeviction" => !server.info("errorstat_OOM").await.is_empty(),
                    _ => server.info("evicted_keys").await != "0",
                };
                server.must(&["CONFIG", "SET", "maxmemory", "0"]).await;
                return (!was_full).then_some("Redis was not full");
            }
            (RedisFault::OldDump, _) => {
                redis.servers[0].kill();
                redis.servers[0].start_again().await;
                let _ = std::fs::remove_file(redis.servers[0].folder().join("dump.rdb"));
            }
            (RedisFault::Wire(_, reach), _) => {
                for one in reach.range(redis.wires.len()) {
                    redis.wires[one].set(super::proxy::Wire::Sound);
                }
            }
            (RedisFault::Deposed, Lasting::Number(one)) => {
                redis.replaced(one).await;
                redis.servers[one].signal(Signal::CONT);
            }
            (_, Lasting::Number(one)) => {
                redis.replaced(one).await;
                redis.servers[one].start_again().await;
            }
            (_, Lasting::Quietly | Lasting::Repeating(_)) => {}
        }
        None
    }
}

/// Leaves it less memory than it holds, again and again: nothing more may come, or something must go, but not everything.
fn fill_up(port: u16, keeps_all: bool) -> JoinHandle<()> {
    let less = if keeps_all { 64 * 1024 } else { 2 * 1024 };
    tokio::spawn(async move {
        loop {
            if let Ok(info) = crate::redis::ask(port, &["INFO", "memory"]).await
                && let Some(used) = field(info.text(), "used_memory")
            {
                let most = used.saturating_sub(less).to_string();
                let _ = crate::redis::ask(port, &["CONFIG", "SET", "maxmemory", &most]).await;
            }
            sleep(Duration::from_millis(200)).await;
        }
    })
}

fn field(info: &str, name: &str) -> Option<u64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line?.parse().ok()
}

fn flush_on_and_on(redis: &Layout) -> JoinHandle<()> {
    let port = redis.servers[0].port;
    tokio::spawn(async move {
        loop {
            let _ = crate::redis::ask(port, &["FLUSHALL"]).await;
            sleep(Duration::from_millis(300)).await;
        }
    })
}

/// Moves a twelfth of the slots from one master to another, with the keys in them.
async fn move_slots(redis: &Layout) {
    let nodes = redis.servers[0].must(&["CLUSTER", "NODES"]).await;
    let masters: Vec<&str> = nodes
        .text()
        .lines()
        .filter(|line| line.contains("master") && !line.contains("fail"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    let address = redis.servers[0].address();
    redis_cli(&[
        "--cluster",
        "reshard",
        &address,
        "--cluster-from",
        masters[0],
        "--cluster-to",
        masters[1],
        "--cluster-slots",
        "1365",
        "--cluster-yes",
    ])
    .await;
}
