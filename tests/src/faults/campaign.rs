//! One round after the other: work, a fault during the work, the end of the fault, and then a look at every promise.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::active::Active;
use super::doors::Doors;
use super::fault::Fault;
use super::health::{Watch, ready_again, redis_again};
use super::line::Line;
use super::process::Holds;
use super::table::{Row, Table};
use super::user::{IN_EVERY_PASSWORD, User};
use super::world::{Profile, World};
use crate::Random;

const USERS: usize = 24;
/// How patient a user is with one request: less than the server, about as much, and more.
const TIMEOUTS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(12),
];
/// An instance is ready again within this time of the fault's end.
const READY: Duration = Duration::from_secs(10);
/// What an instance may hold at the end beyond what it held before the first fault, in MiB and in descriptors: caches
/// that fill, and the connections of its pool.
const MORE: Holds = Holds {
    memory: 48,
    descriptors: 24,
};

/// Instances, users and what they were promised.
#[derive(Debug)]
pub struct Campaign {
    world: World,
    doors: Arc<Doors>,
    users: Vec<User>,
    table: Table,
    before: Holds,
    /// How much of the log of each process has been read.
    read: BTreeMap<u32, usize>,
}

impl Campaign {
    async fn start(profile: Profile, random: &mut Random) -> Campaign {
        let world = World::start(profile, random).await;
        let doors = Arc::new(world.doors());
        let user = |number: usize| {
            let timeout = TIMEOUTS[number % TIMEOUTS.len()];
            let line = Line::new(doors.clone(), random.fork(), timeout);
            User::new(line, random.fork())
        };
        let users = (0..USERS).map(user).collect();
        let before = holds(&world);
        let table = Table::begin(profile);
        Campaign {
            world,
            doors,
            users,
            table,
            before,
            read: BTreeMap::new(),
        }
    }

    /// Every fault of the profile once whose name has one of these texts.
    pub async fn each(profile: Profile, mut random: Random, texts: &[&str]) {
        let mut campaign = Campaign::start(profile, &mut random).await;
        let named = |fault: &Fault| texts.iter().any(|text| fault.name().contains(text));
        for fault in Fault::all(profile).into_iter().filter(named) {
            campaign.round(&[fault], fault.lasts()).await;
        }
        campaign.end().await;
    }

    /// Random faults, one or two at a time, until `lasts` has passed: of all, or of those whose name has one of these texts. The
    /// choice depends on nothing but `random`.
    pub async fn random(profile: Profile, mut random: Random, lasts: Duration, only: &[String]) {
        let mut choice = random.fork();
        let mut campaign = Campaign::start(profile, &mut random).await;
        let (began, instances) = (Instant::now(), profile.instances() as u64);
        let mut all = Fault::all(profile);
        all.retain(|fault| only.is_empty() || only.iter().any(|text| fault.name().contains(text)));
        assert!(!all.is_empty(), "no fault has a name with {only:?}");
        while began.elapsed() < lasts && campaign.table.broken() == 0 {
            let [first, second] = [(); 2].map(|()| {
                let fault = all[choice.below(all.len() as u64) as usize];
                fault.at(choice.below(instances) as usize)
            });
            let mut faults = vec![first];
            if second.goes_with(first) {
                faults.push(second);
            }
            let milliseconds = 300 + choice.below(6000);
            let lasts = Duration::from_millis(milliseconds);
            campaign.round(&faults, lasts).await;
        }
        campaign.end().await;
    }

    /// One round: these faults, one beginning a moment after the other, for so long.
    async fn round(&mut self, faults: &[Fault], lasts: Duration) {
        let instances = self.doors.len();
        let (stop, stopped) = watch::channel(false);
        let mut working = JoinSet::new();
        for mut user in self.users.drain(..) {
            let stopped = stopped.clone();
            working.spawn(async move {
                user.work(stopped).await;
                user
            });
        }
        sleep(Duration::from_millis(400)).await;
        self.doors.ledger.take();

        let mut watch = Watch::begin(&self.doors);
        let mut active = Vec::new();
        for fault in faults {
            active.push(Active::begin(*fault, &mut self.world, &self.doors).await);
            sleep(Duration::from_millis(150)).await;
        }
        watch.all_have_begun();
        sleep(lasts).await;
        let mut ended = Instant::now();
        // In reverse: an instance can start only where what it needs is there again.
        for (active, fault) in active.into_iter().rev().zip(faults.iter().rev()) {
            active.end(&mut self.world, &self.doors).await;
            if !fault.restarts_instances() {
                ended = Instant::now();
            }
        }
        let ready = ready_again(&self.doors, ended, READY).await;
        let stopped = |door: &usize| faults.iter().any(|fault| fault.stops() == Some(*door));
        let expected = faults
            .iter()
            .flat_map(|fault| fault.must_be_unready(instances));
        let unready = watch
            .end(expected.filter(|door| !stopped(door)).collect())
            .await;
        let redis = match self.world.redis {
            Some(_) => {
                let redis = redis_again(&self.doors, ended, READY).await;
                if redis.is_none() {
                    let text = format!("Redis is not in use again within {READY:?}");
                    self.doors.ledger.broken(text);
                }
                Some(redis)
            }
            None => None,
        };
        if ready.is_none() {
            let text = format!("not ready again within {READY:?}");
            self.doors.ledger.broken(text);
        }
        for door in 0..instances {
            self.doors.sighted(door);
        }
        sleep(Duration::from_millis(400)).await;
        stop.send_replace(true);
        self.users = working.join_all().await;
        if let Some(redis) = &self.world.redis {
            redis.settled().await;
        }
        self.check().await;
        self.check_redis().await;
        let row = Row {
            faults: faults.iter().map(|fault| fault.name()).collect(),
            counts: self.doors.ledger.take(),
            unready,
            ready,
            redis,
            latest: self.doors.take_latest(),
        };
        self.table.add(row);
    }

    /// Every promise to every user, and the secrets that no log may tell.
    async fn check(&mut self) {
        // By then every instance has heard of everything.
        sleep(Duration::from_secs(1)).await;
        let mut checking = JoinSet::new();
        for mut user in self.users.drain(..) {
            checking.spawn(async move {
                user.check().await;
                user
            });
        }
        self.users = checking.join_all().await;
        for (number, server) in self.world.servers.iter().enumerate() {
            let figures = server.operator().get("/metrics").await.text;
            // Long before the end of a long campaign, reading all of it each time would take longer than the faults.
            let read = self.read.entry(server.pid()).or_default();
            let log = server.log_after(*read);
            *read += log.len();
            for (place, text) in [("log", &log), ("metrics", &figures)] {
                for secret in ["cs_rt_", "eyJ", IN_EVERY_PASSWORD] {
                    if text.contains(secret) {
                        let text = format!("the {place} of instance {number} has `{secret}…`");
                        self.doors.ledger.broken(text);
                    }
                }
            }
        }
    }

    /// A campaign on Redis that does not use it would show nothing.
    async fn check_redis(&self) {
        if let Some(redis) = &self.world.redis
            && !redis.is_used().await
        {
            self.doors
                .ledger
                .broken("the instances do not use Redis".into());
        }
    }

    /// The last checks. Prints the table; panics if a promise was broken.
    async fn end(mut self) {
        // With the users' connections gone, what an instance holds is its own.
        self.users.clear();
        let began = Instant::now();
        let mut after = holds(&self.world);
        while after.descriptors > self.before.descriptors + MORE.descriptors
            && began.elapsed() < READY
        {
            sleep(Duration::from_millis(100)).await;
            after = holds(&self.world);
        }
        self.world.database.check_integrity().await;
        let (before, more) = (self.before, MORE);
        println!("\n{}", self.table);
        println!("Answered as they must be: {}.", self.doors.ledger.acts());
        println!(
            "Memory and descriptors of an instance: {} MiB and {} at first, {} MiB and {} at last.",
            before.memory, before.descriptors, after.memory, after.descriptors,
        );
        let broken = self.table.broken();
        if broken != 0 {
            self.keep_logs();
        }
        assert_eq!(broken, 0, "broken promises: see above");
        assert!(
            after.memory <= before.memory + more.memory
                && after.descriptors <= before.descriptors + more.descriptors,
            "held at first: {before:?}, at last: {after:?}, granted: {more:?} more"
        );
    }
}

impl Campaign {
    /// Writes the logs into a folder, and ends the instances, so that the logs are not printed too.
    fn keep_logs(&mut self) {
        let folder = crate::server::temporary_folder().keep();
        for (number, server) in self.world.servers.iter_mut().enumerate() {
            let file = folder.join(format!("instance-{number}.log"));
            std::fs::write(file, server.log()).expect("write the log");
            server.kill();
        }
        println!(
            "logs since the last start of each instance: {}",
            folder.display()
        );
    }
}

/// The most that an instance holds.
fn holds(world: &World) -> Holds {
    let all = world.servers.iter().map(|server| Holds::of(server.pid()));
    all.fold(Holds::default(), Holds::max)
}
