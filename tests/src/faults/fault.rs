//! The faults: how each begins and ends, and what it excuses.

use std::ops::Range;
use std::time::Duration;

use super::proxy::Wire;
use super::redis_fault::RedisFault;
use super::world::Profile;

/// Something that goes wrong, and is put right later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: what the others are compared with.
    Nothing,
    /// `kill -9` of an instance, which is started again.
    Killed(usize),
    /// An instance is stopped (`SIGSTOP`) and goes on (`SIGCONT`).
    Frozen(usize),
    /// The clock of the first instance is two minutes ahead, that of the second two minutes behind.
    ClocksDiffer,
    /// Another program writes to SQLite's file, and does not end.
    Locked,
    /// PostgreSQL is restarted, in order or as after a crash.
    Restarted(Stop),
    /// PostgreSQL is not there.
    Stopped,
    /// PostgreSQL takes no writes (`default_transaction_read_only`).
    ReadOnly,
    /// All of PostgreSQL's connections are taken by somebody else.
    Crowded,
    /// Somebody holds a lock on this table.
    TableLocked(&'static str),
    /// The wire between PostgreSQL and these instances does this.
    Wire(Damage, Reach),
    /// Something is wrong with Redis.
    Redis(RedisFault),
    /// Neither PostgreSQL nor Redis is there; Redis comes back empty.
    BothGone,
}

/// How PostgreSQL is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    Fast,
    Immediate,
}

/// What happens to a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    Cut,
    Silent,
    Slow,
    Torn,
}

/// Which instances' wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    One(usize),
    All,
}

impl Damage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Damage::Cut => "cut",
            Damage::Silent => "silent",
            Damage::Slow => "slow (50 ms more each way)",
            Damage::Torn => "torn again and again",
        }
    }

    pub(crate) fn wire(self) -> Wire {
        match self {
            Damage::Cut => Wire::Cut,
            Damage::Silent => Wire::Silent,
            Damage::Slow => Wire::Slow(Duration::from_millis(50)),
            Damage::Torn => Wire::Torn(1500),
        }
    }
}

impl Reach {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reach::One(_) => "one instance",
            Reach::All => "all instances",
        }
    }

    pub(crate) fn range(self, all: usize) -> Range<usize> {
        match self {
            Reach::One(one) => one..one + 1,
            Reach::All => 0..all,
        }
    }
}

const INSTANCES: [Fault; 4] = [
    Fault::Nothing,
    Fault::Killed(0),
    Fault::Frozen(0),
    Fault::ClocksDiffer,
];

const POSTGRES: [Fault; 14] = [
    Fault::Restarted(Stop::Fast),
    Fault::Restarted(Stop::Immediate),
    Fault::Stopped,
    Fault::ReadOnly,
    Fault::Crowded,
    Fault::TableLocked("sessions"),
    Fault::TableLocked("users"),
    Fault::TableLocked("revocations"),
    Fault::Wire(Damage::Cut, Reach::One(1)),
    Fault::Wire(Damage::Silent, Reach::One(1)),
    Fault::Wire(Damage::Silent, Reach::All),
    Fault::Wire(Damage::Slow, Reach::One(1)),
    Fault::Wire(Damage::Torn, Reach::One(1)),
    Fault::Wire(Damage::Torn, Reach::All),
];

impl Fault {
    /// Every fault that this profile can have, in the order of the table.
    pub(crate) fn all(profile: Profile) -> Vec<Fault> {
        let own: &[Fault] = match profile {
            Profile::Sqlite => &[Fault::Locked],
            _ => &POSTGRES,
        };
        let redis = match profile {
            Profile::Sqlite | Profile::Postgres => &[],
            Profile::PostgresRedis => RedisFault::of_single(),
            Profile::PostgresSentinel => RedisFault::of_sentinel(),
            Profile::PostgresCluster => RedisFault::of_cluster(),
        };
        let both: &[Fault] = match profile {
            Profile::PostgresRedis => &[Fault::BothGone],
            _ => &[],
        };
        let redis = redis.iter().map(|fault| Fault::Redis(*fault));
        let all = INSTANCES.iter().chain(own).copied().chain(redis);
        all.chain(both.iter().copied()).collect()
    }

    /// As the table names it.
    pub(crate) fn name(self) -> String {
        match self {
            Fault::Nothing => "none".into(),
            Fault::Killed(_) => "instance killed (`kill -9`), restarted".into(),
            Fault::Frozen(_) => "instance frozen (`SIGSTOP`)".into(),
            Fault::ClocksDiffer => "clocks wrong by ± 2 min".into(),
            Fault::Locked => "SQLite locked by another writer".into(),
            Fault::Restarted(Stop::Fast) => "PostgreSQL restarted, fast".into(),
            Fault::Restarted(Stop::Immediate) => "PostgreSQL restarted, immediate".into(),
            Fault::Stopped => "PostgreSQL gone".into(),
            Fault::ReadOnly => "PostgreSQL read-only".into(),
            Fault::Crowded => "PostgreSQL out of connections".into(),
            Fault::TableLocked(table) => format!("table `{table}` locked"),
            Fault::Wire(damage, reach) => {
                format!("{} to PostgreSQL: {}", reach.name(), damage.name())
            }
            Fault::Redis(fault) => fault.name(),
            Fault::BothGone => "Redis and PostgreSQL gone, Redis restarted empty".into(),
        }
    }

    /// How long it lasts in a fixed list. More than five seconds where an instance must say that it is not ready.
    pub(crate) fn lasts(self) -> Duration {
        match self {
            Fault::Stopped | Fault::BothGone | Fault::Wire(Damage::Silent, Reach::All) => {
                Duration::from_secs(6)
            }
            Fault::Redis(fault) => fault.lasts(),
            Fault::Wire(Damage::Cut, _) => Duration::from_secs(6),
            Fault::TableLocked(_) | Fault::Locked | Fault::Crowded => Duration::from_millis(3500),
            _ => Duration::from_millis(2000),
        }
    }

    /// The same fault of this instance, if it is one of a single instance.
    pub(crate) fn at(self, instance: usize) -> Fault {
        match self {
            Fault::Killed(_) => Fault::Killed(instance),
            Fault::Frozen(_) => Fault::Frozen(instance),
            Fault::Wire(damage, Reach::One(_)) => Fault::Wire(damage, Reach::One(instance)),
            Fault::Redis(RedisFault::Wire(damage, Reach::One(_))) => {
                Fault::Redis(RedisFault::Wire(damage, Reach::One(instance)))
            }
            other => other,
        }
    }

    pub(crate) fn is_of_instances(self) -> bool {
        matches!(
            self,
            Fault::Killed(_) | Fault::Frozen(_) | Fault::ClocksDiffer
        )
    }

    /// Whether this one may come on top of `first`. Faults of instances begin first and end last, since an instance
    /// starts only where what it needs is there.
    pub(crate) fn goes_with(self, first: Fault) -> bool {
        match (first, self) {
            // Documented: who does not reach the database does not hear that somebody else does not reach Redis.
            (first, Fault::Redis(fault)) if first.parts_from_postgres() && fault.parts() => false,
            (_, Fault::Nothing) | (Fault::Nothing, _) => false,
            (Fault::Killed(_), Fault::Redis(fault)) => !fault.forgets(),
            (Fault::Killed(_), Fault::BothGone) | (Fault::BothGone, _) => false,
            (Fault::Redis(_), Fault::BothGone) => false,
            (Fault::Redis(_), Fault::Redis(_)) => false,
            (_, Fault::Redis(_)) => true,
            (first, second) => first.is_of_instances() && !second.is_of_instances(),
        }
    }

    /// Some instances reach PostgreSQL meanwhile, and others do not.
    fn parts_from_postgres(self) -> bool {
        match self {
            Fault::Wire(damage, Reach::One(_)) => damage != Damage::Slow,
            Fault::Wire(Damage::Torn, Reach::All) | Fault::Crowded => true,
            _ => false,
        }
    }

    /// The instance that does not answer meanwhile.
    pub(crate) fn stops(self) -> Option<usize> {
        match self {
            Fault::Killed(one) | Fault::Frozen(one) => Some(one),
            _ => None,
        }
    }

    /// Instances that start anew, so that being ready again is counted from the start.
    pub(crate) fn restarts_instances(self) -> bool {
        matches!(self, Fault::Killed(_))
    }

    /// Instances that cannot learn meanwhile what others announce.
    pub(crate) fn blinds(self, instances: usize) -> Range<usize> {
        match self {
            Fault::Killed(one) | Fault::Frozen(one) => one..one + 1,
            Fault::Wire(Damage::Slow, _) | Fault::ReadOnly | Fault::Nothing => 0..0,
            // Without Redis they hear it from PostgreSQL.
            Fault::Redis(_) => 0..0,
            Fault::TableLocked(table) if table != "revocations" => 0..0,
            Fault::Wire(_, reach) => reach.range(instances),
            _ => 0..instances,
        }
    }

    /// Instances that must say within five seconds that they are not ready.
    pub(crate) fn must_be_unready(self, instances: usize) -> Range<usize> {
        match self {
            Fault::Stopped | Fault::BothGone => 0..instances,
            Fault::Wire(Damage::Cut | Damage::Silent, reach) => reach.range(instances),
            _ => 0..0,
        }
    }
}
