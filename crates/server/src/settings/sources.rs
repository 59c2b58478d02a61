//! Where settings come from, as plain data, so that nothing below asks the process for anything.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::dotenv;
use super::problem::{Problem, escaped};

/// The name of the settings file that is looked for when none is named.
pub const CONFIG_FILE: &str = "countersign.toml";

/// Everything that settings are read from.
pub struct Sources {
    /// The process environment.
    pub env: BTreeMap<OsString, OsString>,
    /// `.env` of the working directory.
    pub env_file: Option<TextFile>,
    /// The settings file.
    pub config_file: Option<TextFile>,
    /// The `--config` option.
    pub config_option: Option<PathBuf>,
    /// How many cores the process may use; the default of `HASH_WORKERS`.
    pub cores: usize,
}

/// A file's name and content.
pub struct TextFile {
    /// Its path, as the operator would write it.
    pub path: PathBuf,
    /// Its content.
    pub text: Zeroizing<String>,
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The process environment.
    Environment,
    /// A line of `.env`, from 1.
    EnvFile(usize),
    /// A line of the settings file, from 1.
    ConfigFile(PathBuf, usize),
    /// The command line.
    Option,
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Environment => f.write_str("environment"),
            Origin::EnvFile(line) => write!(f, "`.env` line {line}"),
            Origin::ConfigFile(path, line) => {
                write!(f, "`{}` line {line}", escaped(&path.to_string_lossy()))
            }
            Origin::Option => f.write_str("`--config`"),
            Origin::Default => f.write_str("default"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Shows names and paths only: the values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("env_file", &self.env_file)
            .field("config_file", &self.config_file)
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TextFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Reads the process environment, `.env` and the settings file in `folder`, the working directory.
    ///
    /// The settings file is the one of `--config`, else of `COUNTERSIGN_CONFIG` (environment, then `.env`), else
    /// `countersign.toml`. A file that was named must exist; the others may be missing.
    pub fn read(folder: &Path, config_option: Option<PathBuf>) -> Result<Sources, Vec<Problem>> {
        let env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut problems = Vec::new();

        let env_file = read_file(folder, Path::new(".env"), false, &mut problems);
        let named = config_option
            .clone()
            .or_else(|| named_config_file(&env, env_file.as_ref()));
        let path = named.clone().unwrap_or_else(|| CONFIG_FILE.into());
        let config_file = read_file(folder, &path, named.is_some(), &mut problems);
        if problems.is_empty() {
            Ok(Sources {
                env,
                env_file,
                config_file,
                config_option,
                cores,
            })
        } else {
            Err(problems)
        }
    }
}

fn named_config_file(
    env: &BTreeMap<OsString, OsString>,
    env_file: Option<&TextFile>,
) -> Option<PathBuf> {
    let name = super::table::COUNTERSIGN_CONFIG.name;
    let in_env = env
        .get(&OsString::from(name))
        .filter(|value| !value.is_empty());
    if let Some(value) = in_env {
        return Some(value.into());
    }
    dotenv::parse(&env_file?.text)
        .into_iter()
        .find(|entry| entry.name.as_deref() == Some(name))
        .and_then(|entry| entry.value.ok())
        .filter(|value| !value.is_empty())
        .map(|value| PathBuf::from(value.as_str()))
}

fn read_file(
    folder: &Path,
    path: &Path,
    required: bool,
    problems: &mut Vec<Problem>,
) -> Option<TextFile> {
    let (what, hint) = match std::fs::read(folder.join(path)).map(String::from_utf8) {
        Ok(Ok(text)) => {
            return Some(TextFile {
                path: path.into(),
                text: Zeroizing::new(text),
            });
        }
        Ok(Err(_)) => ("is not UTF-8 text".to_owned(), "save it as UTF-8"),
        Err(error) if error.kind() == ErrorKind::NotFound && !required => return None,
        Err(error) if error.kind() == ErrorKind::NotFound => (
            "does not exist".to_owned(),
            "correct the path, or leave `--config` and `COUNTERSIGN_CONFIG` out",
        ),
        Err(error) => (
            format!("cannot be read ({})", error.kind()),
            "let the server's user read it",
        ),
    };
    problems.push(Problem {
        setting: None,
        from: None,
        problem: format!(
            "settings file `{}` {what}",
            escaped(&path.to_string_lossy())
        ),
        value: None,
        hint: Some(hint.into()),
    });
    None
}
