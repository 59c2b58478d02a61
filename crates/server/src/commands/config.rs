//! `countersign config check` and `config show`.

use std::io::{self, Write};

use serde_json::json;

use crate::cli::{ConfigCommand, ExampleFile};
use crate::exit::Exit;
use crate::settings::{self, Loaded, Problem, Sources, Warning, generated};

/// Runs a command. `sources` holds what could be read, or why it could not.
///
/// Answers go to `out`, warnings and problems to `err`; with `json` all of it is one object on `out`.
pub fn run(
    command: &ConfigCommand,
    json: bool,
    sources: Result<Sources, Vec<Problem>>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    if let ConfigCommand::Example { file } = command {
        let text = match file {
            ExampleFile::Env => generated::env_example(),
            ExampleFile::Docs => generated::settings_page(),
        };
        out.write_all(text.as_bytes())?;
        return Ok(Exit::Ok);
    }
    match sources.and_then(|sources| settings::load(&sources)) {
        Ok(loaded) => {
            match (command, json) {
                (ConfigCommand::Check, true) => {
                    print_json(out, &json!({"valid": true, "warnings": loaded.warnings}))?
                }
                (_, true) => print_json(
                    out,
                    &json!({"settings": loaded.rows, "warnings": loaded.warnings}),
                )?,
                (ConfigCommand::Check, false) => {
                    print_warnings(&loaded.warnings, err)?;
                    writeln!(out, "settings are valid")?;
                }
                (_, false) => {
                    print_warnings(&loaded.warnings, err)?;
                    print_table(&loaded, out)?;
                }
            }
            Ok(Exit::Ok)
        }
        Err(problems) if json => {
            print_json(out, &json!({"valid": false, "problems": problems}))?;
            Ok(Exit::Settings)
        }
        Err(problems) => {
            print_problems(&problems, err)?;
            Ok(Exit::Settings)
        }
    }
}

/// Prints warnings, one a line.
pub fn print_warnings(warnings: &[Warning], err: &mut dyn Write) -> io::Result<()> {
    warnings
        .iter()
        .try_for_each(|warning| writeln!(err, "warning: {warning}"))
}

/// Prints problems, one a line.
pub fn print_problems(problems: &[Problem], err: &mut dyn Write) -> io::Result<()> {
    problems
        .iter()
        .try_for_each(|problem| writeln!(err, "error: {problem}"))
}

fn print_json(out: &mut dyn Write, value: &serde_json::Value) -> io::Result<()> {
    writeln!(out, "{value:#}")
}

fn print_table(loaded: &Loaded, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<(&str, &str, String)> = loaded
        .rows
        .iter()
        .map(|row| {
            (
                row.setting,
                row.value.as_deref().unwrap_or("-"),
                row.from.to_string(),
            )
        })
        .collect();
    let width = |cell: fn(&(&str, &str, String)) -> usize, heading: &str| {
        rows.iter()
            .map(cell)
            .chain([heading.len()])
            .max()
            .unwrap_or(0)
    };
    let names = width(|row| row.0.chars().count(), "setting");
    let values = width(|row| row.1.chars().count(), "value");
    writeln!(out, "{:names$}  {:values$}  from", "setting", "value")?;
    for (name, value, from) in &rows {
        writeln!(out, "{name:names$}  {value:values$}  {from}")?;
    }
    Ok(())
}
