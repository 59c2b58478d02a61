//! Which room may import which, and that the pure rooms stay pure.

use std::process::Command;

use serde_json::{Value, json};

/// Each crate and the crates of this workspace that it may depend on. `tests` and `bench` are
/// outside the house: they see the server as a client does.
const TABLE: [(&str, &[&str]); 12] = [
    ("bcrypt-lanes", &[]),
    ("token", &[]),
    ("domain", &[]),
    ("store", &["domain"]),
    ("store-sql", &["store", "domain"]),
    ("store-redis", &["store", "domain"]),
    ("flows", &["bcrypt-lanes", "token", "domain", "store"]),
    // The store for its records alone, from which answers are made: docs/decisions/0009.
    ("http", &["flows", "domain", "token", "store"]),
    (
        "server",
        &[
            "token",
            "domain",
            "store",
            "store-sql",
            "store-redis",
            "flows",
            "http",
        ],
    ),
    // The server with what a next version could do, for the tests of upgrades: docs/decisions/0057.
    ("rehearsal", &["server", "store-sql", "store-redis"]),
    ("tests", &[]),
    ("bench", &[]),
];

/// Dev-dependencies are free, so that a room can be tested with real ones around it. These are used by
/// all others, so a test of theirs that needs another room belongs to that room.
const ALONE_IN_TESTS: [&str; 3] = ["bcrypt-lanes", "token", "domain"];

/// Rooms without I/O, and the features that they must be pure with: `contract` is the store's test
/// suite, which runs on tokio.
const PURE: [(&str, &[&str]); 4] = [
    ("bcrypt-lanes", &["--all-features"]),
    ("token", &["--all-features"]),
    ("domain", &["--all-features"]),
    ("store", &[]),
];

/// Crates that do I/O, each with all that begin with its name and a hyphen.
const IO: [&str; 8] = [
    "tokio", "mio", "sqlx", "redis", "hyper", "axum", "reqwest", "rustix",
];

#[test]
fn arrows_are_those_of_the_table() {
    let metadata = cargo(&[
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]);
    let metadata = serde_json::from_str(&metadata).unwrap();
    let wrong = wrong_arrows(&metadata);
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn pure_rooms_have_no_io_below_them() {
    for (room, features) in PURE {
        let package = format!("countersign-{room}");
        let fixed = [
            "tree",
            "-p",
            &package,
            "-e",
            "normal",
            "--offline",
            "--prefix",
            "none",
        ];
        let tree = cargo(&[&fixed, features].concat());
        assert!(tree.starts_with(&package), "{tree}");
        let found = io_crates(&tree);
        assert!(
            found.is_empty(),
            "`{package}` is pure and must not depend on: {}\n\
             `cargo tree -p {package} -e normal -i <crate>` shows by which way. Drop the dependency or its \
             feature, or move the code to a room that does I/O.",
            found.join(", "),
        );
    }
}

#[test]
fn what_is_shipped_rehearses_nothing() {
    let tree = |package: &str| {
        let features = [
            "tree",
            "-p",
            package,
            "-e",
            "features",
            "--offline",
            "--prefix",
            "none",
        ];
        cargo(&features).contains("feature \"rehearsal\"")
    };
    assert!(!tree("countersign-server"));
    assert!(tree("countersign-rehearsal"));
}

/// A sentence for each arrow that the table does not have.
fn wrong_arrows(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let packages = metadata["packages"].as_array().unwrap();
    for package in packages {
        let from = room(package).expect("the name of a workspace crate begins with `countersign-`");
        let Some((_, allowed)) = TABLE.iter().find(|(room, _)| *room == from) else {
            wrong.push(format!(
                "`{from}` is a new room: say in TABLE of tests/tests/arrows.rs what it may import."
            ));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let Some(to) = room(dependency) else {
                continue;
            };
            if dependency["kind"] == "dev" {
                if ALONE_IN_TESTS.contains(&from) && to != from {
                    wrong.push(format!(
                        "{from} -> {to} (in tests): move the test that needs `{to}` to that room."
                    ));
                }
            } else if !allowed.contains(&to) {
                wrong.push(format!(
                    "{from} -> {to}: `{from}` may import only {allowed:?}. Move what it needs into one of these, or \
                     hand it in from above. If the arrow is right, add it to TABLE of tests/tests/arrows.rs and say \
                     why in docs/decisions/."
                ));
            }
        }
    }
    wrong
}

/// The room's name, if this is a crate of ours.
fn room(package_or_dependency: &Value) -> Option<&str> {
    let name = package_or_dependency["name"].as_str()?;
    name.strip_prefix("countersign-")
}

/// The lines of a tree that name a crate of [`IO`].
fn io_crates(tree: &str) -> Vec<&str> {
    let does_io = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        IO.iter().any(|io| {
            name.strip_prefix(io)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    };
    tree.lines().filter(does_io).collect()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_wrong_arrow_is_named() {
    let package = |name: &str, dependencies: &[(&str, Value)]| {
        let dependencies: Vec<Value> = dependencies
            .iter()
            .map(|(name, kind)| json!({ "name": name, "kind": kind }))
            .collect();
        json!({ "name": name, "dependencies": dependencies })
    };
    let found = |package: Value| wrong_arrows(&json!({ "packages": [package] }));
    let (normal, dev, build) = (Value::Null, json!("dev"), json!("build"));

    let good = [
        package(
            "countersign-store",
            &[
                ("countersign-domain", normal.clone()),
                ("jiff", normal.clone()),
            ],
        ),
        package(
            "countersign-http",
            &[("countersign-store-sql", dev.clone())],
        ),
        package("countersign-token", &[("countersign-token", dev.clone())]),
    ];
    for package in good {
        assert_eq!(found(package), [""; 0]);
    }
    let bad = [
        (
            "http -> store-sql: ",
            package(
                "countersign-http",
                &[("countersign-store-sql", normal.clone())],
            ),
        ),
        (
            "domain -> token: ",
            package("countersign-domain", &[("countersign-token", build)]),
        ),
        (
            "domain -> store (in tests): ",
            package("countersign-domain", &[("countersign-store", dev)]),
        ),
        (
            "store -> flows: ",
            package("countersign-store", &[("countersign-flows", normal)]),
        ),
        ("`mail` is a new room: ", package("countersign-mail", &[])),
    ];
    for (beginning, package) in bad {
        let found = found(package);
        assert!(
            found.len() == 1 && found[0].starts_with(beginning),
            "{found:?}"
        );
    }
}

#[test]
fn io_is_found_in_a_tree() {
    let tree =
        "countersign-domain v0.1.0 (/a/tokio)\nsqlx-core v0.9.0\ntokio v1.54.0\naxumatic v1.0.0\n";
    assert_eq!(io_crates(tree), ["sqlx-core v0.9.0", "tokio v1.54.0"]);
}
