//! One file per command.

mod audit;
pub mod config;
mod doctor;
mod keys;
mod migrate;
mod password;
mod schema;
mod serve;
mod service_key;
mod session;
mod store;
mod user;

use std::io::{self, Write};

use clap::CommandFactory;

use crate::app;
use crate::cli::{Cli, Command};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use crate::settings::{self, Loaded, Problem, Settings, Sources};

/// Where a command writes, and how.
pub struct Output<'a> {
    /// Answers.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub err: &'a mut dyn Write,
    /// As JSON.
    pub json: bool,
}

/// Runs a command. `sources` reads where settings come from.
pub fn run(
    command: Command,
    output: &mut Output<'_>,
    sources: impl FnOnce() -> Result<Sources, Vec<Problem>>,
) -> io::Result<Exit> {
    match command {
        Command::Config(command) => {
            config::run(&command, output.json, sources(), output.out, output.err)
        }
        Command::Openapi => {
            let document = countersign_http::openapi();
            let text = document.to_pretty_json().map_err(io::Error::other)?;
            writeln!(output.out, "{text}")?;
            Ok(Exit::Ok)
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics where its output is cut off.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut script);
            output.out.write_all(&script)?;
            Ok(Exit::Ok)
        }
        Command::Man { command } => manual_page(&command, output),
        Command::Doctor => doctor::run(sources(), output),
        command => match sources().and_then(|sources| settings::load(&sources)) {
            Ok(loaded) => with_settings(command, loaded, output),
            Err(problems) => {
                config::print_problems(&problems, output.err)?;
                Ok(Exit::Settings)
            }
        },
    }
}

fn manual_page(command: &[String], output: &mut Output<'_>) -> io::Result<Exit> {
    let mut page = Cli::command();
    // Gives every command its full name, as in `countersign-user-create`.
    page.build();
    for name in command {
        match page.find_subcommand(name) {
            Some(found) => page = found.clone(),
            None => {
                writeln!(
                    output.err,
                    "error: there is no such command: see `countersign --help`"
                )?;
                return Ok(Exit::Usage);
            }
        }
    }
    clap_mangen::Man::new(page).render(&mut output.out)?;
    Ok(Exit::Ok)
}

fn with_settings(command: Command, loaded: Loaded, output: &mut Output<'_>) -> io::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let settings = loaded.settings.clone();
    if matches!(command, Command::Serve) {
        config::print_warnings(&loaded.warnings, output.err)?;
    }
    let done = runtime.block_on(async {
        match command {
            Command::Serve => serve::run(loaded).await,
            Command::Migrate { plan } => migrate::run(&settings, plan, output).await,
            Command::Store(command) => store::run(&settings, command, output).await,
            command => operate(&settings, command, output).await,
        }
    });
    match done {
        Ok(()) => Ok(Exit::Ok),
        Err(failure) => fail(&failure, output),
    }
}

/// An operator's command on an installation.
async fn operate(
    settings: &Settings,
    command: Command,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    app::for_command(settings, async |flows| match command {
        Command::User(command) => user::run(flows, command, output).await,
        Command::Session(command) => session::run(flows, command, output).await,
        Command::Audit(command) => audit::run(flows, command, output).await,
        Command::Keys(command) => keys::run(flows, command, output).await,
        Command::ServiceKey(command) => service_key::run(flows, command, output).await,
        // Answered before, without an installation.
        _ => Ok(()),
    })
    .await
}

fn fail(failure: &Failure, output: &mut Output<'_>) -> io::Result<Exit> {
    match output.json {
        _ if failure.message.is_empty() => {}
        true => output::json(output.err, &serde_json::json!({"error": failure.message}))?,
        false => writeln!(output.err, "error: {failure}")?,
    }
    Ok(failure.exit)
}
