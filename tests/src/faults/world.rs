//! The instances, and what they depend on.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::doors::{Doors, GRACE};
use super::layout::Layout;
use super::proxy::Proxy;
use crate::postgres::Cluster;
use crate::server::ROOT_SECRET;
use crate::{Backend, Database, Random, Server, Setup};

/// What the instances run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One instance on SQLite.
    Sqlite,
    /// Three instances on one PostgreSQL, each by a wire of its own.
    Postgres,
    /// The same with one Redis, each by a wire of its own.
    PostgresRedis,
    /// The same with a Redis master, its replica, and Sentinels.
    PostgresSentinel,
    /// The same with a Redis Cluster.
    PostgresCluster,
}

const ALL: [Profile; 5] = [
    Profile::Sqlite,
    Profile::Postgres,
    Profile::PostgresRedis,
    Profile::PostgresSentinel,
    Profile::PostgresCluster,
];

impl Profile {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Sqlite => "sqlite",
            Profile::Postgres => "postgres",
            Profile::PostgresRedis => "postgres+redis",
            Profile::PostgresSentinel => "postgres+sentinel",
            Profile::PostgresCluster => "postgres+cluster",
        }
    }

    /// Reads such a name.
    pub fn from_name(name: &str) -> Option<Profile> {
        ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// All names, for people.
    pub fn names() -> String {
        ALL.map(Profile::name).join(", ")
    }

    pub(crate) fn has_redis(self) -> bool {
        !matches!(self, Profile::Sqlite | Profile::Postgres)
    }

    pub(crate) fn instances(self) -> usize {
        match self {
            Profile::Sqlite => 1,
            _ => 3,
        }
    }

    async fn redis(self, random: &mut Random) -> Option<Layout> {
        match self {
            Profile::Sqlite | Profile::Postgres => None,
            Profile::PostgresRedis => Some(Layout::single(random, self.instances()).await),
            Profile::PostgresSentinel => Some(Layout::sentinel(random, self.instances()).await),
            Profile::PostgresCluster => Some(Layout::cluster(random, self.instances()).await),
        }
    }
}

/// Everything that can be damaged.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    /// Between each instance and PostgreSQL.
    pub(crate) wires: Vec<Proxy>,
    pub(crate) database: Arc<Database>,
    pub(crate) redis: Option<Layout>,
    /// Last, so that it outlives what uses it.
    pub(crate) postgres: Option<Cluster>,
}

impl World {
    /// `program`: of another version than the one under test.
    pub(crate) async fn start(
        profile: Profile,
        random: &mut Random,
        program: Option<PathBuf>,
    ) -> World {
        let setup = Setup::new(match profile {
            Profile::Sqlite => Backend::Sqlite,
            _ => Backend::Postgres,
        });
        let setup = setup
            .program(program)
            .set("COUNTERSIGN_SECRET", ROOT_SECRET)
            .set("COUNTERSIGN_OPS_ADDR", "127.0.0.1:0")
            .set("REFRESH_GRACE_SECONDS", GRACE.as_secs().to_string());
        let mut world = match profile {
            Profile::Sqlite => {
                let server = setup.prepare().await;
                World {
                    database: server.database.clone(),
                    servers: vec![server],
                    wires: Vec::new(),
                    redis: None,
                    postgres: None,
                }
            }
            _ => World::on_postgres(setup, profile.instances()).await,
        };
        world.redis = profile.redis(random).await;
        for (number, server) in world.servers.iter_mut().enumerate() {
            if let Some(redis) = &world.redis {
                server.set("REDIS_URL", &redis.urls[number]);
            }
            server.launch().await;
        }
        world
    }

    async fn on_postgres(setup: Setup, instances: usize) -> World {
        let cluster = Cluster::start_with("-c max_connections=100");
        let database = Arc::new(Database::create_on(&cluster.url).await);
        let mut world = World {
            servers: Vec::new(),
            wires: Vec::new(),
            database: database.clone(),
            redis: None,
            postgres: None,
        };
        let target: SocketAddr = cluster.address().parse().expect("address");
        for _ in 0..instances {
            let wire = Proxy::to(target).await;
            let folder = Arc::new(crate::server::temporary_folder());
            let mut server = setup.clone().prepare_on(folder, database.clone());
            let url = database
                .url()
                .replace(&target.to_string(), &wire.address.to_string());
            server.set("DATABASE_URL", &url);
            world.servers.push(server);
            world.wires.push(wire);
        }
        world.postgres = Some(cluster);
        world
    }

    pub(crate) fn doors(&self) -> Doors {
        Doors::new(
            self.servers
                .iter()
                .map(|server| server.base().to_owned())
                .collect(),
        )
    }

    pub(crate) fn redis(&mut self) -> &mut Layout {
        self.redis.as_mut().expect("a profile with Redis")
    }

    pub(crate) fn postgres(&self) -> &Cluster {
        self.postgres.as_ref().expect("a profile with PostgreSQL")
    }
}
