//! `countersign doctor`: looks at everything that a server needs, and says what to do.

use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use countersign_domain::password::Scheme;
use countersign_flows::Role;
use countersign_flows::clock::{Clock, SystemClock};
use countersign_flows::hashing::{self, PoolSettings, time_of_full_lanes, time_of_one};
use countersign_flows::keys::KeyStatus;
use countersign_store_sql::SchemaState;
use jiff::Timestamp;
use serde_json::json;

use super::Output;
use super::serve::SLOW_SIGN_IN;
use crate::app;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::settings::{self, Database, Problem, Settings, Signing, Sources};

/// No clock that is right shows a time before this version was made: 2026-11-01.
const MADE: i64 = 1_793_491_200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Warning,
    Bad,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "error",
        }
    }
}

struct Finding {
    check: &'static str,
    verdict: Verdict,
    text: String,
}

/// What was found, in the order of looking.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, check: &'static str, verdict: Verdict, text: impl Into<String>) {
        self.0.push(Finding {
            check,
            verdict,
            text: text.into(),
        });
    }
}

pub(super) fn run(
    sources: Result<Sources, Vec<Problem>>,
    output: &mut Output<'_>,
) -> io::Result<Exit> {
    let mut findings = Findings::default();
    let loaded = sources.and_then(|sources| settings::load(&sources));
    let mut exit = Exit::Ok;
    match loaded {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                findings.add("settings", Verdict::Warning, warning.to_string());
            }
            if loaded.warnings.is_empty() {
                findings.add("settings", Verdict::Good, "valid");
            }
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?;
            permissions(&loaded.settings, &mut findings);
            if let Err(failure) = runtime.block_on(storage(&loaded.settings, &mut findings)) {
                exit = failure.exit;
                findings.add("storage", Verdict::Bad, failure.message);
            }
            if let Err(failure) = runtime.block_on(redis(&loaded.settings, &mut findings)) {
                exit = failure.exit;
                findings.add("redis", Verdict::Bad, failure.message);
            }
            password_cost(&loaded.settings, &mut findings);
        }
        Err(problems) => {
            exit = Exit::Settings;
            for problem in &problems {
                findings.add("settings", Verdict::Bad, problem.to_string());
            }
        }
    }
    if exit == Exit::Ok
        && findings
            .0
            .iter()
            .any(|finding| finding.verdict == Verdict::Bad)
    {
        exit = Exit::Failure;
    }
    show(&findings, output)?;
    Ok(exit)
}

/// The files that hold secrets must be the server's alone.
fn permissions(settings: &Settings, findings: &mut Findings) {
    let mut private = vec![
        (settings.data_dir.clone(), "700"),
        (settings.data_dir.join("root-secret"), "600"),
        (".env".into(), "600"),
    ];
    if let Database::Sqlite { path } = &settings.database {
        private.push((path.clone(), "600"));
    }
    let mut open = false;
    for (path, wanted) in private {
        if let Some(mode) = open_mode(&path) {
            open = true;
            let path = path.display();
            findings.add(
                "permissions",
                Verdict::Warning,
                format!(
                    "`{path}` is open to other users (mode {mode:o}): run `chmod {wanted} {path}`"
                ),
            );
        }
    }
    if !open {
        findings.add(
            "permissions",
            Verdict::Good,
            "no file with secrets is open to other users",
        );
    }
}

/// The mode of a file that others may read or write; `None`: they may not, or there is none.
fn open_mode(path: &Path) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

async fn storage(settings: &Settings, findings: &mut Findings) -> Result<(), Failure> {
    let started = now();
    let store = app::connect_existing(settings).await?;
    let took = started.elapsed().as_millis();
    findings.add(
        "storage",
        Verdict::Good,
        format!("the database answers ({took} ms to connect)"),
    );
    match store.schema().await? {
        SchemaState::Behind { pending } => {
            let text = format!(
                "{pending} migrations are missing: run `countersign migrate`, or start the server"
            );
            findings.add("schema", Verdict::Warning, text);
            clock(None, findings);
            return Ok(());
        }
        SchemaState::Ahead { database, binary } => {
            findings.add("schema", Verdict::Warning, app::ahead(database, binary));
        }
        SchemaState::Current => findings.add("schema", Verdict::Good, "current"),
    }
    app::may_be_served(&store).await?;
    let flows = app::open(Role::Operator, settings, store).await?;
    let keys = flows.signing_keys().await?;
    clock(keys.iter().map(|key| key.created_at).max(), findings);
    let signing = keys
        .iter()
        .filter(|key| key.status == KeyStatus::Signing)
        .count();
    match (&settings.signing, signing) {
        (Signing::Hs256(_), _) => findings.add("keys", Verdict::Good, "HS256 with `JWT_SECRET`"),
        (_, 0) => findings.add(
            "keys",
            Verdict::Bad,
            "no key signs: run `countersign keys rotate --emergency`",
        ),
        (_, _) => findings.add(
            "keys",
            Verdict::Good,
            format!("{} published, one signs", keys.len()),
        ),
    }
    Ok(())
}

/// Redis must answer, be new enough, and not throw away what it was given to keep.
async fn redis(settings: &Settings, findings: &mut Findings) -> Result<(), Failure> {
    let Some(redis) = app::redis(settings) else {
        return Ok(());
    };
    let place = redis.url.place();
    let started = now();
    let found = match countersign_store_redis::examine(&redis).await? {
        Some(found) => found,
        None => {
            let text = format!(
                "Redis at `{place}` does not answer: the server works without it, only slower"
            );
            findings.add("redis", Verdict::Warning, text);
            return Ok(());
        }
    };
    let took = started.elapsed().as_millis();
    let text = format!(
        "Redis at `{place}` answers ({took} ms, version {})",
        found.version
    );
    match found.is_too_old() {
        true => {
            let text = format!("{text}: version 7 or newer is needed");
            findings.add("redis", Verdict::Bad, text);
        }
        false => findings.add("redis", Verdict::Good, text),
    }
    if let Some(policy) = found.eviction.filter(|policy| policy != "noeviction") {
        let text = format!(
            "Redis evicts keys when it is full (`maxmemory-policy {policy}`): sessions are then read from the database \
             again and limits forgotten; set `noeviction`"
        );
        findings.add("redis", Verdict::Warning, text);
    }
    Ok(())
}

/// A clock that is behind makes tokens that never seem to expire; one that is behind the database
/// has been stepped back, or belongs to another machine than those that wrote it.
fn clock(newest: Option<Timestamp>, findings: &mut Findings) {
    let now = SystemClock.now();
    if now.as_second() < MADE {
        let text = format!(
            "the clock is wrong: {}; set it, best by NTP",
            output::time(now)
        );
        findings.add("clock", Verdict::Bad, text);
    } else if newest.is_some_and(|newest| newest > now) {
        let text =
            "the clock is behind the database's newest key; set it on every machine, best by NTP";
        findings.add("clock", Verdict::Bad, text);
    } else {
        findings.add("clock", Verdict::Good, output::time(now));
    }
}

/// What a sign-in costs on this machine.
fn password_cost(settings: &Settings, findings: &mut Findings) {
    let pool = match app::pool(settings) {
        // Only bcrypt has lanes.
        pool @ PoolSettings {
            scheme: Scheme::Argon2id { .. },
            ..
        } => without_lanes(pool),
        pool => pool,
    };
    let took = time_of_full_lanes(&pool);
    let slots = pool.workers.get() * pool.lanes.get();
    let room = hashing::room(settings.hash_queue, took, slots);
    let rate = sign_ins_per_second(&pool, took);
    let one_by_one = without_lanes(pool);
    let mut text = if pool.lanes == one_by_one.lanes {
        format!(
            "one password takes {} ms; about {rate:.1} sign-ins a second",
            took.as_millis()
        )
    } else {
        let took_one_by_one = time_of_full_lanes(&one_by_one);
        format!(
            "with `HASH_LANES={}` one password takes {} ms alone and {} ms beside {} others, and a second makes \
             about {rate:.1} sign-ins; with `HASH_LANES=1` {} ms and {:.1}",
            pool.lanes,
            time_of_one(&pool).as_millis(),
            took.as_millis(),
            pool.lanes.get() - 1,
            took_one_by_one.as_millis(),
            sign_ins_per_second(&one_by_one, took_one_by_one)
        )
    };
    text += &format!(
        "; {} may wait for up to {} s, {} of one address",
        room.places,
        settings.hash_queue.as_secs(),
        room.per_address
    );
    match took > SLOW_SIGN_IN {
        true => findings.add(
            "hashing",
            Verdict::Warning,
            format!("{text}: lower `BCRYPT_ROUNDS`"),
        ),
        false => findings.add("hashing", Verdict::Good, text),
    }
}

fn without_lanes(pool: PoolSettings) -> PoolSettings {
    PoolSettings {
        lanes: NonZeroUsize::MIN,
        ..pool
    }
}

/// Of all threads, when each takes that long for its lanes.
fn sign_ins_per_second(pool: &PoolSettings, full_lanes: Duration) -> f64 {
    let hashes = (pool.workers.get() * pool.lanes.get()) as f64;
    hashes / full_lanes.as_secs_f64().max(1e-6)
}

#[allow(
    clippy::disallowed_methods,
    reason = "measures how long this machine takes"
)]
fn now() -> Instant {
    Instant::now()
}

fn show(findings: &Findings, output: &mut Output<'_>) -> io::Result<()> {
    if output.json {
        let items = findings.0.iter().map(|finding| {
            json!({"check": finding.check, "verdict": finding.verdict.as_str(), "text": finding.text})
        });
        let items: Vec<_> = items.collect();
        return output::json(output.out, &json!({"findings": items}));
    }
    let rows = findings.0.iter().map(|finding| {
        vec![
            finding.check.to_owned(),
            finding.verdict.as_str().to_owned(),
            finding.text.clone(),
        ]
    });
    output::table(
        output.out,
        &["check", "verdict", "finding"],
        &rows.collect::<Vec<_>>(),
    )
}
