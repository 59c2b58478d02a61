//! `countersign migrate`.

use std::io;

use countersign_store_sql::{PlannedLock, PlannedMigration, SchemaState, SqlStore, Work};
use serde_json::{Value, json};

use super::Output;
use crate::app;
use crate::failure::Failure;
use crate::output;
use crate::settings::Settings;

pub(super) async fn run(
    settings: &Settings,
    plan: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let store = app::connect(settings).await?;
    if plan {
        let planned = store.plan().await?;
        match (output.json, planned.is_empty()) {
            (true, _) => {
                let items: Vec<_> = planned.iter().map(as_json).collect();
                output::json(output.out, &json!({"pending": items}))?;
            }
            (false, true) => nothing(&store, output).await?,
            (false, false) => show(&planned, output)?,
        }
        return Ok(());
    }
    let applied = store.migrate().await?;
    match (output.json, applied.len()) {
        (true, _) => output::json(output.out, &json!({"applied": applied}))?,
        (false, 0) => nothing(&store, output).await?,
        (false, count) => {
            let migrations = if count == 1 {
                "migration"
            } else {
                "migrations"
            };
            writeln!(
                output.out,
                "applied {count} {migrations}; the schema is current"
            )?;
        }
    }
    Ok(())
}

async fn nothing(store: &SqlStore, output: &mut Output<'_>) -> Result<(), Failure> {
    let text = match store.schema().await? {
        SchemaState::Ahead { database, binary } => app::ahead(database, binary),
        _ => "the schema is current".to_owned(),
    };
    writeln!(output.out, "{text}: nothing to do")?;
    Ok(())
}

/// As comments between the statements, so that the whole can be read by a database's own tools.
fn show(planned: &[PlannedMigration], output: &mut Output<'_>) -> io::Result<()> {
    for migration in planned {
        writeln!(output.out, "-- {} {}", migration.number, migration.name)?;
        let serves = migration.serves;
        writeln!(
            output.out,
            "-- serves running versions that know schema {serves} and up; locks are held until its last statement is done"
        )?;
        for statement in &migration.statements {
            writeln!(output.out)?;
            for lock in &statement.locks {
                writeln!(output.out, "-- {}", sentence(lock))?;
            }
            if statement.locks.is_empty() {
                writeln!(output.out, "-- locks nothing: what it touches is new")?;
            }
            writeln!(output.out, "{};", statement.sql)?;
        }
        writeln!(output.out)?;
    }
    Ok(())
}

fn sentence(lock: &PlannedLock) -> String {
    let Some(table) = &lock.table else {
        return format!(
            "locks unknown: assume {} on every table, for long",
            lock.mode.name()
        );
    };
    let blocks = match (lock.mode.blocks_reads(), lock.mode.blocks_writes()) {
        (true, _) => "blocks reads and writes",
        (_, true) => "blocks writes",
        _ => "blocks neither reads nor writes, but of rows that it changes",
    };
    let work = match lock.work {
        Work::Moment => "takes a moment",
        Work::Rows => "takes as long as it has rows to change",
        Work::Scan => "reads the whole table",
        Work::Rewrite => "writes the whole table anew",
        Work::Unknown => "takes nobody knows how long",
    };
    let size = match lock.size {
        Some(size) => {
            let rows = size.rows.map(|rows| format!(", about {rows} rows"));
            let rows = rows.unwrap_or_else(|| ", rows unknown before `ANALYZE`".to_owned());
            format!(" ({}{rows})", bytes(size.bytes))
        }
        None => " (not there yet)".to_owned(),
    };
    format!(
        "locks {table}{size}: {}; {blocks}; {work}",
        lock.mode.name()
    )
}

fn bytes(bytes: i64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

fn as_json(migration: &PlannedMigration) -> Value {
    let lock = |lock: &PlannedLock| {
        json!({
            "table": lock.table,
            "mode": lock.mode.name(),
            "known": lock.table.is_some(),
            "blocks_reads": lock.mode.blocks_reads(),
            "blocks_writes": lock.mode.blocks_writes(),
            "work": lock.work.name(),
            "bytes": lock.size.map(|size| size.bytes),
            "rows": lock.size.and_then(|size| size.rows),
        })
    };
    let statements = migration.statements.iter().map(|statement| {
        let locks: Vec<_> = statement.locks.iter().map(lock).collect();
        json!({"sql": statement.sql, "locks": locks})
    });
    json!({
        "number": migration.number,
        "name": migration.name,
        "serves": migration.serves,
        "statements": statements.collect::<Vec<_>>(),
    })
}
