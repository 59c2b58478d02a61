//! Brings the sources together: for each setting the strongest value, and where it stands.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::ffi::OsStr;

use zeroize::Zeroizing;

use super::problem::{Problem, Warning, escaped};
use super::sources::{Origin, Sources};
use super::{dotenv, suggest, table, toml_file};

/// A value that somebody set.
pub(super) struct Given {
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

/// What the sources say.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) given: BTreeMap<&'static str, Given>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<Warning>,
}

/// Reads all sources, the strongest first. An empty value counts as not set, so that `NAME=` in a container's
/// environment falls back to the next source.
pub(super) fn collect(sources: &Sources) -> Collected {
    let mut collected = Collected::default();
    if let Some(path) = &sources.config_option {
        let text = path.to_string_lossy().into_owned();
        collected.take(
            table::COUNTERSIGN_CONFIG.name,
            Zeroizing::new(text),
            Origin::Option,
        );
    }
    collected.environment(sources);
    collected.env_file(sources);
    collected.config_file(sources);
    collected
}

impl Collected {
    fn environment(&mut self, sources: &Sources) {
        for (name, value) in &sources.env {
            let name = name.to_string_lossy();
            if !is_ours(&name) || is_service_link(&name, value) {
                continue;
            }
            match value.to_str() {
                Some(text) => self.named(&name, text, Origin::Environment),
                None => self.problem(&name, Origin::Environment, "is not UTF-8 text".into(), None),
            }
        }
    }

    fn env_file(&mut self, sources: &Sources) {
        let Some(file) = &sources.env_file else {
            return;
        };
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        for dotenv::Entry { name, line, value } in dotenv::parse(&file.text) {
            let origin = Origin::EnvFile(line);
            let Some(name) = name else {
                let what = value.err().unwrap_or_default().to_owned();
                self.problems.push(Problem {
                    setting: None,
                    from: Some(origin),
                    problem: what,
                    value: None,
                    hint: None,
                });
                continue;
            };
            if !is_ours(&name) {
                continue;
            }
            if let Some(first) = lines.insert(name.clone(), line) {
                let what = format!("is set a second time, after line {first}");
                self.problem(
                    &name,
                    origin,
                    what,
                    Some("delete one of the two lines".into()),
                );
                continue;
            }
            match value {
                Ok(text) => self.named(&name, &text, origin),
                Err(what) => self.problem(&name, origin, what.into(), None),
            }
        }
    }

    fn config_file(&mut self, sources: &Sources) {
        let Some(file) = &sources.config_file else {
            return;
        };
        for toml_file::Entry { key, line, value } in toml_file::parse(&file.text) {
            let origin = Origin::ConfigFile(file.path.clone(), line);
            let Some(key) = key else {
                let what = value.err().unwrap_or_default();
                self.problems.push(Problem {
                    setting: None,
                    from: Some(origin),
                    problem: what,
                    value: None,
                    hint: None,
                });
                continue;
            };
            let name = key.to_ascii_uppercase();
            let lower = key == key.to_ascii_lowercase();
            match table::find(&name).filter(|_| lower) {
                Some(setting) if setting.name == table::COUNTERSIGN_CONFIG.name => {
                    let what = "cannot be set in the settings file itself".into();
                    let hint = "use `--config`, the environment or `.env`".into();
                    self.problem(&key, origin, what, Some(hint));
                }
                Some(setting) => match value {
                    Ok(text) => self.take(setting.name, text, origin),
                    Err(what) => self.problem(setting.name, origin, what, None),
                },
                None if lower && table::is_reserved(&name) => self.reserved(&key, origin),
                None => self.unknown(
                    &key,
                    origin,
                    suggest::nearest(&key).map(str::to_ascii_lowercase),
                ),
            }
        }
    }

    /// A name that `is_ours`, from the environment or `.env`.
    fn named(&mut self, name: &str, text: &str, origin: Origin) {
        if let Some(setting) = table::find(name) {
            self.take(setting.name, Zeroizing::new(text.to_owned()), origin);
        } else if !table::is_reserved(name) {
            self.unknown(name, origin, suggest::nearest(name).map(str::to_owned));
        } else if !text.trim().is_empty() {
            self.reserved(name, origin);
        }
    }

    fn take(&mut self, name: &'static str, text: Zeroizing<String>, origin: Origin) {
        if text.trim().is_empty() {
            return;
        }
        if let Slot::Vacant(slot) = self.given.entry(name) {
            slot.insert(Given { text, origin });
        }
    }

    fn unknown(&mut self, name: &str, origin: Origin, meant: Option<String>) {
        let hint = match meant {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "remove it; `countersign config show` lists all settings".into(),
        };
        self.problem(name, origin, "is not a setting".into(), Some(hint));
    }

    fn reserved(&mut self, name: &str, from: Origin) {
        let warning = "is not used by this version".into();
        self.warnings.push(Warning {
            setting: escaped(name),
            from,
            warning,
        });
    }

    fn problem(&mut self, name: &str, from: Origin, problem: String, hint: Option<String>) {
        self.problems.push(Problem {
            setting: Some(escaped(name)),
            from: Some(from),
            problem,
            value: None,
            hint,
        });
    }
}

/// Whether a name in the environment is for Countersign; everybody else's names are none of its business.
fn is_ours(name: &str) -> bool {
    name.starts_with("COUNTERSIGN_") || table::find(name).is_some() || table::is_reserved(name)
}

/// Whether Kubernetes set this. It gives every pod such variables for each service of its namespace, so a service that
/// is called `countersign`, or `countersign-db`, would otherwise keep the server from starting.
fn is_service_link(name: &str, value: &OsStr) -> bool {
    if table::find(name).is_some() {
        return false;
    }
    let is_url = value
        .to_str()
        .is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (name.ends_with("_PORT") && is_url)
        || name
            .rsplit_once("_PORT_")
            .is_some_and(|(_, tail)| tail.starts_with(|c: char| c.is_ascii_digit()))
        || [
            "_TCP_PORT",
            "_TCP_ADDR",
            "_TCP_PROTO",
            "_UDP_PORT",
            "_UDP_ADDR",
            "_UDP_PROTO",
        ]
        .iter()
        .any(|end| name.ends_with(end))
}
