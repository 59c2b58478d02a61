//! The settings through the real binary: its environment, its working directory, its exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Runs `countersign` in `folder` with this environment and no other.
fn countersign(folder: &Path, env: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .current_dir(folder)
        .env_clear()
        .envs(env.iter().copied())
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What `config show` says about a setting: its value and where that stands.
fn shown(folder: &Path, env: &[(&str, &str)], options: &[&str], setting: &str) -> String {
    let output = countersign(folder, env, &[&["config", "show"], options].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let line = text(&output.stdout)
        .lines()
        .find(|line| line.starts_with(setting))
        .unwrap();
    line.split_whitespace()
        .skip(1)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn values_come_from_the_strongest_place() {
    let folder = tempfile::tempdir().unwrap();
    let (folder, name) = (folder.path(), "BCRYPT_ROUNDS");
    assert_eq!(shown(folder, &[], &[], name), "12 default");
    fs::write(folder.join("countersign.toml"), "bcrypt_rounds = 13").unwrap();
    assert_eq!(
        shown(folder, &[], &[], name),
        "13 `countersign.toml` line 1"
    );
    fs::write(folder.join("other.toml"), "\nbcrypt_rounds = 14").unwrap();
    assert_eq!(
        shown(folder, &[], &["--config", "other.toml"], name),
        "14 `other.toml` line 2"
    );
    let named = [("COUNTERSIGN_CONFIG", "other.toml")];
    assert_eq!(shown(folder, &named, &[], name), "14 `other.toml` line 2");
    assert_eq!(
        shown(folder, &named, &["--config", "countersign.toml"], name),
        "13 `countersign.toml` line 1"
    );
    fs::write(folder.join(".env"), "BCRYPT_ROUNDS=15").unwrap();
    assert_eq!(shown(folder, &[], &[], name), "15 `.env` line 1");
    assert_eq!(shown(folder, &[(name, "16")], &[], name), "16 environment");
}

#[test]
fn the_exit_code_tells_wrong_settings_from_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let run = |env: &[_], arguments: &[&str]| countersign(folder.path(), env, arguments);

    let right = run(&[], &["config", "check"]);
    assert_eq!(
        (right.status.code(), text(&right.stdout)),
        (Some(0), "settings are valid\n")
    );

    let wrong = run(&[("BCRYPT_ROUNDS", "3")], &["config", "check"]);
    assert_eq!((wrong.status.code(), text(&wrong.stdout)), (Some(78), ""));
    assert!(
        text(&wrong.stderr).starts_with("error: `BCRYPT_ROUNDS` (environment) must be"),
        "{wrong:?}"
    );

    let missing = run(&[], &["config", "check", "--config", "missing.toml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert_eq!(run(&[], &["config", "chekc"]).status.code(), Some(2));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "looking at the settings makes no files"
    );
}
