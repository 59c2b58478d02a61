//! An upgrade under load, there and back: the schema first, then one instance after the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::campaign::Campaign;
use super::health::ready_again;
use super::table::Row;
use super::world::Profile;
use crate::Random;
use crate::server::{binary, next_binary};

/// Between the replacements of two instances.
const PAUSE: Duration = Duration::from_millis(1200);
/// How long a replaced instance may take to be ready.
const READY: Duration = Duration::from_secs(20);

impl Campaign {
    /// Migrates under load, replaces the instances by the newer version, and then by the older one again, which goes on beside
    /// the newer schema. `COUNTERSIGN_TEST_OLDER` may name the older version's binary; it is the binary under test otherwise.
    pub async fn upgrade(profile: Profile, mut random: Random) {
        let older = std::env::var_os("COUNTERSIGN_TEST_OLDER").map(PathBuf::from);
        let older = older.unwrap_or_else(|| binary().to_owned());
        let mut campaign = Campaign::start(profile, &mut random, Some(older.clone())).await;
        let newer = campaign.newer(&older);
        campaign.step("migrated", Act::Migrate(&newer)).await;
        campaign.step("upgraded", Act::Replace(&newer)).await;
        campaign.step("rolled back", Act::Replace(&older)).await;
        campaign.step("mixed", Act::ReplaceOne(&newer)).await;
        campaign.check_older_ones().await;
        campaign.end().await;
    }

    /// The binary under test, where it knows a newer schema than the older one, or else one that does.
    fn newer(&self, older: &Path) -> PathBuf {
        let newest = |program: &Path| {
            // Of a database that is not there: all that it knows.
            let folder = crate::server::temporary_folder();
            let mut command =
                self.world.servers[0].command_of(program, &["--json", "migrate", "--plan"]);
            command
                .env_remove("DATABASE_URL")
                .env("COUNTERSIGN_DATA_DIR", folder.path());
            let output = command.output().expect("run migrate --plan");
            let plan: Value = serde_json::from_slice(&output.stdout).expect("a plan");
            plan["pending"].as_array().expect("migrations").len()
        };
        match newest(binary()) > newest(older) {
            true => binary().to_owned(),
            false => next_binary(),
        }
    }

    /// One step of the upgrade, under load.
    async fn step(&mut self, name: &str, act: Act<'_>) {
        let work = self.begin_work().await;
        self.doors.ledger.take_refused();
        let mut ready = Duration::ZERO;
        match act {
            Act::Migrate(program) => self.migrate(program).await,
            Act::Replace(program) => {
                for one in 0..self.doors.len() {
                    ready = ready.max(self.replace(one, program).await);
                    sleep(PAUSE).await;
                }
            }
            Act::ReplaceOne(program) => ready = self.replace(0, program).await,
        }
        sleep(2 * PAUSE).await;
        self.end_work(work).await;
        for refused in self.doors.ledger.take_refused() {
            let text = format!("503 of an instance that did not stop: {refused}");
            self.doors.ledger.broken(text);
        }
        self.check_all().await;
        self.table.add(Row {
            faults: vec![name.to_owned()],
            counts: self.doors.ledger.take(),
            unready: None,
            ready: Some(ready),
            redis: self.world.redis.as_ref().map(|_| Some(Duration::ZERO)),
            latest: self.doors.take_latest(),
        });
    }

    /// Brings the schema up with the newer version, while instances of the older one run.
    async fn migrate(&mut self, program: &Path) {
        // Users have rows by now.
        sleep(PAUSE).await;
        let mut command = self.world.servers[0].command_of(program, &["--json", "migrate"]);
        let output = tokio::task::spawn_blocking(move || command.output());
        let output = output.await.expect("join").expect("run migrate");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "migrate failed: {errors}");
        let done: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let applied = done["applied"].as_array().expect("a list");
        assert!(!applied.is_empty(), "nothing was migrated");
        println!("applied under load: {applied:?}");
    }

    /// Stops one instance as an operator does, and starts it as another version.
    async fn replace(&mut self, one: usize, program: &Path) -> Duration {
        self.doors.down(one);
        let server = &mut self.world.servers[one];
        let log = server.stop_with_log().await;
        // Its log goes with it; why it could not do something is in the lines before.
        let lines: Vec<&str> = log.lines().collect();
        for place in (0..lines.len()).filter(|place| lines[*place].contains("status=503")) {
            println!(
                "  instance {one}:\n{}",
                lines[place.saturating_sub(4)..=place].join("\n")
            );
        }
        server.set_program(program);
        let began = Instant::now();
        server.launch().await;
        self.doors.up(one, server.base());
        self.doors.sighted(one);
        let ready = ready_again(&self.doors, began, READY).await;
        if ready.is_none() {
            let text = format!("instance {one} is not ready within {READY:?}");
            self.doors.ledger.broken(text);
        }
        ready.unwrap_or(READY)
    }

    /// Those that are of the older version at the end have met what they do not know, and said so.
    async fn check_older_ones(&self) {
        for server in &self.world.servers[1..] {
            let log = server.log();
            assert!(
                log.contains("is still served"),
                "it did not tell of the newer schema"
            );
            let figures = server.operator().get("/metrics").await.text;
            let figure = |name: &str| -> u64 {
                let line = figures
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
                line.expect("a figure").parse().expect("a number")
            };
            assert!(figure("countersign_schema") > figure("countersign_schema_known"));
            // A previous version may meet nothing that it does not know.
            if std::env::var_os("COUNTERSIGN_TEST_OLDER").is_none() {
                assert!(figure("countersign_announcements_unknown_total") > 0);
                let told = log.matches("announces what this one does not know").count();
                assert_eq!(told, 1, "it is told of once");
            }
        }
    }
}

/// What is done under load.
#[derive(Debug, Clone, Copy)]
enum Act<'a> {
    Migrate(&'a Path),
    Replace(&'a Path),
    ReplaceOne(&'a Path),
}
