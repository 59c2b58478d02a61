//! The settings, over plain data: no test here touches the process environment.

mod checks;
mod formats;
mod generated;
mod secrecy;
mod sources;
mod values;

use std::path::PathBuf;

use countersign_server::settings::{self, Loaded, Problem, Settings, Sources, TextFile, Warning};

/// A secret that is no pattern.
pub const SECRET: &str = "Zk3v9T0xPzQ7uW1yB5nM8cR2dF6gH4jL";
/// Another one.
pub const OTHER_SECRET: &str = "c8d3a5f0917e4b62f1a09be3d75c248611fd3e09a4b7c25d";

/// Sources with this environment, on a machine with three cores.
pub fn env(pairs: &[(&str, &str)]) -> Sources {
    let env = pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    Sources {
        env,
        env_file: None,
        config_file: None,
        config_option: None,
        cores: 3,
    }
}

/// Sources with all three places filled.
pub fn places(pairs: &[(&str, &str)], dotenv: &str, toml: &str) -> Sources {
    Sources {
        env_file: Some(file(".env", dotenv)),
        config_file: Some(file("countersign.toml", toml)),
        ..env(pairs)
    }
}

/// A file's name and content.
pub fn file(path: &str, text: &str) -> TextFile {
    TextFile {
        path: path.into(),
        text: text.to_owned().into(),
    }
}

/// Settings that must be right.
pub fn good(sources: &Sources) -> Loaded {
    match settings::load(sources) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("{}", lines(&problems)),
    }
}

/// The settings of an environment that must be right.
pub fn set(pairs: &[(&str, &str)]) -> Settings {
    good(&env(pairs)).settings
}

/// The problems of settings that must be wrong, each as its line.
pub fn bad(sources: &Sources) -> Vec<String> {
    match Settings::load(sources) {
        Ok(_) => panic!("these settings were accepted: {sources:?}"),
        Err(problems) => problems.iter().map(Problem::to_string).collect(),
    }
}

/// The only problem of an environment.
pub fn refused(pairs: &[(&str, &str)]) -> String {
    let mut problems = bad(&env(pairs));
    assert_eq!(problems.len(), 1, "{pairs:?}: {problems:?}");
    problems.remove(0)
}

/// The warnings of settings that must be right, each as its line.
pub fn warned(sources: &Sources) -> Vec<String> {
    good(sources)
        .warnings
        .iter()
        .map(Warning::to_string)
        .collect()
}

/// What `config show` says about a setting: its value and where that stands.
pub fn shown(sources: &Sources, setting: &str) -> (Option<String>, String) {
    let loaded = good(sources);
    let row = loaded
        .rows
        .into_iter()
        .find(|row| row.setting == setting)
        .expect(setting);
    (row.value, row.from.to_string())
}

/// A path.
pub fn path(text: &str) -> PathBuf {
    text.into()
}

fn lines(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}
