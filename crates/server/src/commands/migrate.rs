//! `countersign migrate`.

use serde_json::json;

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
        if output.json {
            let items = planned.iter().map(
                |m| json!({"number": m.number, "name": m.name, "locks": m.locks, "sql": m.sql}),
            );
            let items: Vec<_> = items.collect();
            return Ok(output::json(output.out, &json!({"pending": items}))?);
        }
        if planned.is_empty() {
            writeln!(output.out, "the schema is current: nothing to do")?;
        }
        for migration in planned {
            writeln!(output.out, "-- {} {}", migration.number, migration.name)?;
            writeln!(output.out, "{}", migration.sql)?;
        }
        return Ok(());
    }
    let applied = store.migrate().await?;
    match (output.json, applied.len()) {
        (true, _) => output::json(output.out, &json!({"applied": applied}))?,
        (false, 0) => writeln!(output.out, "the schema is current: nothing to do")?,
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
