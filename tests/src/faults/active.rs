//! A fault that lasts, and what holds it up.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::doors::Doors;
use super::fault::{Fault, Stop};
use super::proxy::Wire;
use super::redis_fault::Lasting;
use super::world::World;

/// Ends with [`Active::end`].
#[derive(Debug)]
pub(crate) struct Active {
    fault: Fault,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Nothing,
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
    Crowd(JoinHandle<()>),
    Redis(Lasting),
}

impl Active {
    pub(crate) async fn begin(fault: Fault, world: &mut World, doors: &Doors) -> Active {
        for door in fault.blinds(doors.len()) {
            doors.blind(door);
        }
        let mut held = Held::Nothing;
        match fault {
            Fault::Nothing => {}
            Fault::Killed(one) => {
                doors.down(one);
                world.servers[one].kill();
            }
            Fault::Frozen(one) => {
                doors.down(one);
                world.servers[one].signal(Signal::STOP);
            }
            Fault::ClocksDiffer => set_clocks(world, doors, &["+120s", "-120s"]).await,
            Fault::Locked => held = Held::Sqlite(lock_sqlite(world).await),
            Fault::Restarted(stop) => {
                match stop {
                    Stop::Fast => world.postgres().stop_fast(),
                    Stop::Immediate => world.postgres().stop(),
                }
                world.postgres().start_again();
            }
            Fault::Stopped => world.postgres().stop(),
            Fault::BothGone => {
                world.redis().servers[0].kill();
                world.postgres().stop();
            }
            Fault::ReadOnly => world.postgres().set_read_only(true).await,
            Fault::Crowded => held = Held::Crowd(crowd(world).await),
            Fault::TableLocked(table) => held = Held::Postgres(lock_table(world, table).await),
            Fault::Wire(damage, reach) => {
                for one in reach.range(world.wires.len()) {
                    world.wires[one].set(damage.wire());
                }
            }
            Fault::Redis(fault) => held = Held::Redis(fault.begin(world.redis()).await),
        }
        Active { fault, held }
    }

    /// Returns when nothing is wrong any more, but for its consequences.
    pub(crate) async fn end(self, world: &mut World, doors: &Doors) {
        match self.fault {
            Fault::Killed(one) => {
                world.servers[one].launch().await;
                doors.up(one, world.servers[one].base());
            }
            Fault::Frozen(one) => {
                world.servers[one].signal(Signal::CONT);
                doors.up(one, world.servers[one].base());
            }
            Fault::ClocksDiffer => set_clocks(world, doors, &[]).await,
            Fault::Stopped => world.postgres().start_again(),
            Fault::BothGone => {
                world.postgres().start_again();
                world.redis().servers[0].start_again().await;
            }
            Fault::ReadOnly => world.postgres().set_read_only(false).await,
            Fault::Wire(_, reach) => {
                for one in reach.range(world.wires.len()) {
                    world.wires[one].set(Wire::Sound);
                }
            }
            Fault::Nothing
            | Fault::Locked
            | Fault::Restarted(_)
            | Fault::Crowded
            | Fault::TableLocked(_)
            | Fault::Redis(_) => {}
        }
        match self.held {
            Held::Nothing => {}
            Held::Redis(lasting) => {
                if let Fault::Redis(fault) = self.fault
                    && let Some(wrong) = fault.end(lasting, world.redis()).await
                {
                    doors.ledger.broken(wrong.into());
                }
            }
            Held::Crowd(crowd) => crowd.abort(),
            // Closing ends the transaction, and with it the lock.
            Held::Postgres(connection) => drop(connection.close().await),
            Held::Sqlite(connection) => drop(connection.close().await),
        }
    }
}

/// Starts the first instances again with clocks of their own, and all others whose clocks had been wrong.
async fn set_clocks(world: &mut World, doors: &Doors, offsets: &[&str]) {
    doors.skewed.store(true, Relaxed);
    for (one, server) in world.servers.iter_mut().enumerate().take(2) {
        doors.down(one);
        server.stop().await;
        if doors.len() == 1 {
            doors.steps.fetch_add(1, Relaxed);
        }
        match offsets.get(one) {
            Some(offset) => {
                server.set("LD_PRELOAD", &faketime());
                server.set("FAKETIME", offset);
                server.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            }
            None => {
                for name in ["LD_PRELOAD", "FAKETIME", "FAKETIME_DONT_FAKE_MONOTONIC"] {
                    server.unset(name);
                }
            }
        }
        server.launch().await;
        doors.up(one, server.base());
    }
    doors.skewed.store(!offsets.is_empty(), Relaxed);
}

/// The library that gives a process another clock. Where it is missing, the loader would go on without it.
fn faketime() -> String {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib");
    let mut files = folders.filter_map(|folder| {
        let file = folder.ok()?.path().join("faketime/libfaketimeMT.so.1");
        file.exists().then(|| file.display().to_string())
    });
    files
        .next()
        .expect("libfaketime; on Debian: apt-get install faketime")
}

async fn lock_sqlite(world: &World) -> SqliteConnection {
    let mut connection = SqliteConnection::connect(&world.database.url())
        .await
        .expect("open SQLite");
    // Somebody else may be writing.
    sqlx::raw_sql("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
        .execute(&mut connection)
        .await
        .expect("lock SQLite");
    connection
}

async fn lock_table(world: &World, table: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&world.database.url())
        .await
        .expect("connect to PostgreSQL");
    // One of the names in `Fault::all`.
    let statement = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("lock the table");
    connection
}

/// Takes every connection that there is, throws the instances out, and goes on doing so.
async fn crowd(world: &World) -> JoinHandle<()> {
    let url = world.postgres().url.clone();
    let mut admin = world.postgres().admin().await;
    tokio::spawn(async move {
        let mut taken = Vec::new();
        loop {
            let coming = (0..8).map(|_| tokio::spawn(squeeze_in(url.clone())));
            for one in coming.collect::<Vec<_>>() {
                taken.extend(one.await.ok().flatten());
            }
            let statement = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'countersign'";
            // Nothing depends on a single try.
            let _ = sqlx::query(statement).execute(&mut admin).await;
        }
    })
}

async fn squeeze_in(url: String) -> Option<PgConnection> {
    let connecting = timeout(Duration::from_secs(2), PgConnection::connect(&url));
    connecting.await.ok()?.ok()
}
