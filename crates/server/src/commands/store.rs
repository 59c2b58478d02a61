//! `countersign store …`: moving house.

use std::path::Path;
use std::time::Duration;

use countersign_flows::clock::{Clock, SystemClock};
use countersign_flows::random::{self, SystemRandom};
use countersign_store_sql::{
    Copied, CopyError, CopyPlan, Database as SqlDatabase, Finish, Ids, Pools, Reopened, SqlStore,
    Stage, StoreCopy, TableReport,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Output;
use crate::cli::StoreCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::settings::{Database, Settings, database};

/// How many digits of a checksum a table shows; `--json` shows all.
const DIGITS: usize = 16;

pub(super) async fn run(
    settings: &Settings,
    command: StoreCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        StoreCommand::Copy { from, to, plan } => {
            let from = Side::from(settings, from.as_deref()).await?;
            let to = Side::to(settings, to.as_deref(), &from).await?;
            let done = match plan {
                true => show_plan(&job(&from, &to), output).await,
                false => copy(&job(&from, &to), output).await,
            };
            from.store.close().await;
            to.store.close().await;
            done
        }
        StoreCommand::Reopen {
            from,
            to,
            yes,
            without_target,
        } => {
            let from = Side::from(settings, from.as_deref()).await?;
            let moved = from.store.moved_to().await?.is_some();
            let taken_back = match moved && !without_target {
                false => from.store.reopen(id()).await?,
                true => {
                    let to = Side::to(settings, to.as_deref(), &from).await?;
                    let taken_back = job(&from, &to).reopen(yes).await;
                    to.store.close().await;
                    taken_back?
                }
            };
            from.store.close().await;
            show_reopened(taken_back, without_target, &from.name, output)
        }
    }
}

/// One of the two databases.
struct Side {
    database: Database,
    name: String,
    store: SqlStore,
}

impl Side {
    /// What is left: the installation of the settings, unless another is named.
    async fn from(settings: &Settings, given: Option<&str>) -> Result<Self, Failure> {
        let database = match given {
            Some(text) => database::given("--from", text).map_err(wrong_usage)?,
            None => settings.database.clone(),
        };
        if let Database::Sqlite { path } = &database
            && !path.exists()
        {
            let message = format!(
                "there is no database at `{}`: name the one to move with `--from sqlite:…`, or run this where the server runs",
                path.display()
            );
            return Err(Failure::with(Exit::Settings, message));
        }
        Self::open(database, settings).await
    }

    /// What is moved to.
    async fn to(settings: &Settings, given: Option<&str>, from: &Self) -> Result<Self, Failure> {
        let database = match (given, &settings.copy_to) {
            (Some(text), _) => database::given("--to", text).map_err(wrong_usage)?,
            (None, Some(database)) => database.clone(),
            (None, None) => {
                let message = "there is no target: set `COPY_TO_URL`, or give `--to postgres://…`";
                return Err(Failure::with(Exit::Usage, message));
            }
        };
        if is_same(&database, &from.database) {
            let message = "the source and the target are the same database";
            return Err(Failure::with(Exit::Settings, message));
        }
        if matches!(&database, Database::Sqlite { path } if !path.exists()) {
            // It would be made.
            let message = "the target is SQLite, and only PostgreSQL can be moved to";
            return Err(Failure::with(Exit::Settings, message));
        }
        Self::open(database, settings).await
    }

    async fn open(database: Database, settings: &Settings) -> Result<Self, Failure> {
        let sql = match &database {
            Database::Sqlite { path } => SqlDatabase::Sqlite(path.clone()),
            Database::Postgres { url } => SqlDatabase::Postgres(url.expose().to_owned()),
        };
        let pools = Pools {
            max_connections: settings.database_max_connections,
        };
        Ok(Self {
            name: name(&database),
            store: SqlStore::connect(&sql, pools).await?,
            database,
        })
    }
}

fn wrong_usage(message: String) -> Failure {
    Failure::with(Exit::Usage, message)
}

fn is_same(one: &Database, other: &Database) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    match (one, other) {
        (Database::Sqlite { path: one }, Database::Sqlite { path: other }) => {
            real(one).is_some() && real(one) == real(other)
        }
        _ => one == other,
    }
}

/// What it is called, also from elsewhere.
fn name(database: &Database) -> String {
    match database {
        Database::Sqlite { path } => {
            let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
            format!("sqlite:{}", whole.display())
        }
        Database::Postgres { url } => database::place(url.expose()),
    }
}

fn id() -> Uuid {
    uuid::Builder::from_random_bytes(random::bytes(&SystemRandom)).into_uuid()
}

fn now() -> jiff::Timestamp {
    SystemClock.now()
}

fn job<'a>(from: &'a Side, to: &'a Side) -> StoreCopy<'a> {
    StoreCopy {
        from: &from.store,
        to: &to.store,
        from_name: &from.name,
        to_name: &to.name,
        ids: Ids {
            copy: id(),
            run: id(),
        },
        now: &now,
    }
}

async fn show_plan(copy: &StoreCopy<'_>, output: &mut Output<'_>) -> Result<(), Failure> {
    let CopyPlan { begins, tables } = copy.plan().await?;
    if output.json {
        let tables = tables.iter().map(
            |t| json!({"table": t.name, "rows": t.rows, "not_copied_because": t.left_because}),
        );
        let tables: Vec<Value> = tables.collect();
        let plan = json!({
            "from": copy.from_name,
            "to": copy.to_name,
            "the_copy": begins.as_ref().ok(),
            "refused": begins.as_ref().err(),
            "tables": tables,
        });
        output::json(output.out, &plan)?;
    } else {
        writeln!(
            output.out,
            "from  {}\nto    {}\n",
            copy.from_name, copy.to_name
        )?;
        let row = |table: &countersign_store_sql::PlannedTable| {
            let rows = table.rows.map_or("-".to_owned(), |rows| rows.to_string());
            let left = table.left_because.map(|why| format!("not copied: {why}"));
            vec![table.name.to_owned(), rows, left.unwrap_or_default()]
        };
        let rows: Vec<Vec<String>> = tables.iter().map(row).collect();
        output::table(output.out, &["table", "rows", ""], &rows)?;
        if let Ok(begins) = &begins {
            writeln!(output.out, "\nthe copy {begins}; nothing was changed")?;
        }
    }
    begins
        .map(drop)
        .map_err(|why| Failure::with(Exit::Settings, why))
}

async fn copy(copy: &StoreCopy<'_>, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut told = Ok(());
    let quiet = output.json;
    let copied = copy
        .run(&mut |stage| {
            if !quiet && told.is_ok() {
                told = writeln!(output.err, "{}", in_words(stage));
            }
        })
        .await?;
    // Whoever reads along may have gone; the copy is done all the same.
    drop(told);
    match output.json {
        true => Ok(output::json(output.out, &as_json(&copied))?),
        false => show_copied(&copied, output),
    }
}

fn in_words(stage: Stage) -> String {
    let text = match stage {
        Stage::Begun => "begun, on an empty target; the server goes on meanwhile",
        Stage::Resumed => "going on where an earlier run stopped",
        Stage::BegunAnew => "begun anew; what the target held of this copy is gone",
        Stage::Table { name, rows } => return format!("copied {rows} rows of `{name}`"),
        Stage::Comparing => "reading and comparing both sides; the server goes on meanwhile",
        Stage::Closing => "closing: the server answers 503 from now on",
        Stage::Locked => "moving",
    };
    text.to_owned()
}

fn as_json(copied: &Copied) -> Value {
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let (state, closed, locked) = match copied.finish {
        Finish::Moved { closed, locked } => (
            "moved",
            Some(milliseconds(closed)),
            Some(milliseconds(locked)),
        ),
        Finish::Finished => ("finished", None, None),
        Finish::Already => ("complete_before", None, None),
    };
    json!({"state": state, "closed_ms": closed, "locked_ms": locked, "tables": copied.tables})
}

fn show_copied(copied: &Copied, output: &mut Output<'_>) -> Result<(), Failure> {
    let digits = |sum: &str| sum.chars().take(DIGITS).collect::<String>();
    let row = |table: &TableReport| {
        vec![
            table.table.clone(),
            table.source_rows.to_string(),
            table.target_rows.to_string(),
            digits(&table.source_checksum),
            digits(&table.target_checksum),
        ]
    };
    let rows: Vec<Vec<String>> = copied.tables.iter().map(row).collect();
    let headings = [
        "table",
        "rows here",
        "rows there",
        "checksum here",
        "checksum there",
    ];
    output::table(output.out, &headings, &rows)?;
    let done = match copied.finish {
        Finish::Moved { closed, locked } => format!(
            "moved: nothing was answered for {:.1} s, and the source was locked for {:.2} s of it",
            closed.as_secs_f64(),
            locked.as_secs_f64()
        ),
        Finish::Finished => "moved: an earlier run had copied everything".to_owned(),
        Finish::Already => "moved before: there was nothing to do".to_owned(),
    };
    writeln!(output.out, "\n{done}")?;
    writeln!(
        output.out,
        "now start the server with the target as `DATABASE_URL` and the same root secret: `COUNTERSIGN_SECRET`, or the content of \
         `root-secret` in the data folder"
    )?;
    Ok(())
}

fn show_reopened(
    taken_back: Reopened,
    without_target: bool,
    name: &str,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let (state, lost) = match taken_back {
        Reopened::Nothing => ("nothing", None),
        Reopened::Copy => ("copy", None),
        Reopened::Move { lost } => ("move", Some(lost).filter(|_| !without_target)),
    };
    if output.json {
        let answer = json!({"taken_back": state, "events_lost": lost});
        return Ok(output::json(output.out, &answer)?);
    }
    match taken_back {
        Reopened::Nothing => writeln!(output.out, "there is nothing to take back")?,
        Reopened::Copy => writeln!(
            output.out,
            "the copy was called off; `{name}` is served as before"
        )?,
        Reopened::Move { .. } => {
            writeln!(output.out, "taken back: start the server on `{name}` again")?;
        }
    }
    if let Some(lost @ 1..) = lost {
        writeln!(
            output.out,
            "{lost} events of the target are lost, and what they tell of"
        )?;
    }
    if matches!(taken_back, Reopened::Move { .. }) && without_target {
        writeln!(
            output.out,
            "the target was not told: no server may run on it any more"
        )?;
    }
    Ok(())
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        let exit = match &error {
            CopyError::Refused(_) => Exit::Settings,
            CopyError::Store(_, countersign_store::StoreError::Unavailable(_)) => Exit::Unavailable,
            _ => Exit::Failure,
        };
        match error {
            CopyError::Schema(error) => error.into(),
            error => Self::with(exit, error.to_string()),
        }
    }
}
