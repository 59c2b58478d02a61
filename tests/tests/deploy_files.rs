//! The files of `deploy/`, and the pages that speak of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use countersign_tests::proxies::deploy;

fn root() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join("docs").join(name)).expect(name)
}

/// Words in capitals with an underline, as settings are.
fn capitals(text: &str) -> BTreeSet<&str> {
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c| !part(c))
        .filter(|word| word.contains('_') && word.len() > 5 && !word.starts_with('_'))
        .collect()
}

#[test]
fn every_setting_in_them_exists() {
    let table = page("settings.md");
    let settings: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(settings.len() > 30, "{settings:?}");
    // PostgreSQL's image has settings of its own, and the others are of systemd, HAProxy and TCP.
    let foreign = ["POSTGRES_", "AF_", "METH_"];
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("deploy")).expect("deploy") {
        let path = entry.expect("deploy").path();
        let text = std::fs::read_to_string(&path).expect("text");
        for name in capitals(&text) {
            if foreign.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            assert!(
                settings.contains(name),
                "{}: `{name}` is no setting",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} settings were seen");
}

/// Names of alerts in a text.
fn alerts(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| {
            let rest = word.strip_prefix("Countersign").unwrap_or_default();
            rest.starts_with(|c: char| c.is_ascii_uppercase())
        })
        .collect()
}

#[test]
fn every_alert_is_explained_and_every_named_alert_exists() {
    let rules = deploy("prometheus-alerts.yaml");
    let defined: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(defined.len() > 12, "{defined:?}");
    assert_eq!(
        defined,
        alerts(&page("operations.md")),
        "docs/operations.md"
    );
    let named = page("outages.md");
    let named = alerts(&named);
    assert!(named.len() > 5, "{named:?}");
    let unknown: Vec<_> = named.difference(&defined).collect();
    assert!(unknown.is_empty(), "docs/outages.md: {unknown:?}");
}

/// The faults that are tried, by the names in the tables of docs/faults.md, each stand in the table of what to do.
#[test]
fn every_fault_that_is_tried_has_a_line_in_what_to_do() {
    let faults = page("faults.md");
    let outages = page("outages.md");
    let rows = faults
        .lines()
        .filter(|line| line.starts_with("| ") && line.matches('|').count() > 6);
    let mut seen = 0;
    for row in rows {
        let name = row
            .trim_start_matches("| ")
            .split(" | ")
            .next()
            .expect("a cell");
        if name == "none" || name.starts_with("fault (") || name.starts_with("---") {
            continue;
        }
        let key = name.split([':', '(', ',']).next().expect("a part").trim();
        assert!(
            outages.contains(key),
            "docs/outages.md says nothing of `{key}`"
        );
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_capacity_sheet_is_what_the_script_computes() {
    let output = Command::new("python3")
        .arg(root().join("scripts/capacity"))
        .arg("--check")
        .output()
        .expect("run python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Whether systemd would take the unit, and how much it would let the server do: 0 is nothing, 10 everything.
#[test]
fn systemd_takes_the_unit() {
    if Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("not checked: this machine has no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("countersign.service");
    // A program that exists on every machine.
    let unit = deploy("countersign.service").replace("/usr/local/bin/countersign", "/bin/true");
    std::fs::write(&file, unit).expect("write");
    analyze(&["verify"], &file);
    analyze(&["security", "--offline=true", "--threshold=15"], &file);
}

fn analyze(arguments: &[&str], file: &Path) {
    let output = Command::new("systemd-analyze")
        .args(arguments)
        .arg(file)
        .output()
        .expect("run systemd-analyze");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert!(!said.contains("Unknown"), "{said}");
}

/// The nginx of `compose.yaml`: nginx itself finds nothing wrong.
#[test]
fn nginx_takes_the_file_for_containers() {
    let folder = tempfile::tempdir().expect("folder");
    let text = deploy("compose-nginx.conf")
        .replace("countersign-1:8080", "127.0.0.1:8081")
        .replace("countersign-2:8080", "127.0.0.1:8082")
        .replace("listen 80;", "listen 127.0.0.1:8089;");
    std::fs::write(folder.path().join("default.conf"), text).expect("write");
    let main = "pid nginx.pid; events {} http { access_log off; include default.conf; }";
    std::fs::write(folder.path().join("main.conf"), main).expect("write");
    let output = Command::new("/usr/sbin/nginx")
        .args(["-t", "-c", "main.conf", "-e", "log", "-p"])
        .arg(folder.path())
        .output()
        .expect("run nginx; `scripts/test` installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// The few rules of YAML that this file can break: nothing is indented by tabs, and what is referred to is there.
#[test]
fn the_services_of_compose_fit_together() {
    let text = deploy("compose.yaml");
    assert!(!text.contains('\t'));
    for service in ["countersign-1", "countersign-2", "postgres", "nginx"] {
        assert!(text.contains(&format!("\n  {service}:")), "{service}");
    }
    for file in ["deploy/Containerfile", "deploy/compose-nginx.conf"] {
        assert!(root().join(file).exists(), "{file}");
        let name = file.trim_start_matches("deploy/");
        assert!(text.contains(name), "{name}");
    }
    let nginx = deploy("compose-nginx.conf");
    for upstream in ["countersign-1:8080", "countersign-2:8080"] {
        assert!(nginx.contains(upstream), "{upstream}");
    }
}
