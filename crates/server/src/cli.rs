//! The command line, as `clap` reads it.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// A self-hosted authentication server.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Settings file, instead of `countersign.toml` in the working directory
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 69 database unavailable, 77 not permitted, 78 wrong settings";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// The commands about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the settings are valid, and what is wrong with them
    Check,
    /// Print every setting, its value and where it comes from, secrets hidden
    Show,
    /// Print a file that is made from the list of settings
    #[command(hide = true)]
    Example {
        /// Which one
        #[arg(default_value = "env")]
        file: ExampleFile,
    },
}

/// The files that are made from the list of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExampleFile {
    /// `.env.example`
    Env,
    /// `docs/settings.md`
    Docs,
}
