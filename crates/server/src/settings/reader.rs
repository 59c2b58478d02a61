//! Turns collected texts into values, and notes what `config show` will print.

use serde::Serialize;

use super::collect::{Collected, Given};
use super::problem::{Problem, Warning, escaped};
use super::sources::Origin;
use super::table::{Fallback, Setting};

/// One line of `config show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The setting's name.
    pub setting: &'static str,
    /// Its value, escaped; `(hidden, N bytes)` for a secret; nothing where it is unset and has no default.
    pub value: Option<String>,
    /// Where the value stands.
    pub from: Origin,
}

/// What is wrong with a text.
pub(super) struct Fault {
    /// The rest of a sentence that begins with the setting.
    pub(super) problem: String,
    /// What to do.
    pub(super) hint: Option<String>,
    /// The value as it may be shown, where that is not the text itself.
    pub(super) shown: Shown,
}

/// How a value appears in a message.
pub(super) enum Shown {
    /// As it is.
    Plainly,
    /// As this.
    As(String),
    /// Not at all.
    Hidden,
}

impl Fault {
    pub(super) fn new(problem: impl Into<String>) -> Fault {
        Fault {
            problem: problem.into(),
            hint: None,
            shown: Shown::Plainly,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn shown(mut self, shown: Shown) -> Fault {
        self.shown = shown;
        self
    }
}

pub(super) struct Reader {
    collected: Collected,
    pub(super) rows: Vec<Row>,
}

impl Reader {
    pub(super) fn new(collected: Collected) -> Reader {
        Reader {
            collected,
            rows: Vec::new(),
        }
    }

    /// A setting whose default is a text. After a problem the default stands in, so that the other settings can be
    /// checked; the caller refuses the whole at the end.
    pub(super) fn get<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> T {
        let Fallback::Text(default) = setting.default else {
            unreachable!("`{}` has no default text", setting.name)
        };
        self.optional(setting, &parse).unwrap_or_else(|| {
            self.show_default(setting, Some(default.to_owned()));
            match parse(default) {
                Ok(value) => value,
                Err(_) => unreachable!("the default of `{}` is not valid", setting.name),
            }
        })
    }

    /// A setting whose default follows from something else.
    pub(super) fn get_or<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Fault>,
        default: impl FnOnce() -> (T, Option<String>),
    ) -> T {
        self.optional(setting, parse).unwrap_or_else(|| {
            let (value, shown) = default();
            self.show_default(setting, shown);
            value
        })
    }

    /// The value that somebody set, if it is right; notes the row or the problem.
    fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&str) -> Result<T, Fault>,
    ) -> Option<T> {
        let Given { text, origin } = self.collected.given.get(setting.name)?;
        let value = match setting.is_secret() {
            true => text.as_str(),
            false => text.trim(),
        };
        match parse(value) {
            Ok(parsed) => {
                let shown = shown(setting, value);
                self.rows.push(Row {
                    setting: setting.name,
                    value: Some(shown),
                    from: origin.clone(),
                });
                Some(parsed)
            }
            Err(fault) => {
                let value = match fault.shown {
                    _ if setting.is_secret() => None,
                    Shown::Plainly => Some(escaped(value)),
                    Shown::As(text) => Some(escaped(&text)),
                    Shown::Hidden => None,
                };
                self.collected.problems.push(Problem {
                    setting: Some(setting.name.into()),
                    from: Some(origin.clone()),
                    problem: fault.problem,
                    value,
                    hint: fault.hint,
                });
                None
            }
        }
    }

    fn show_default(&mut self, setting: &'static Setting, value: Option<String>) {
        self.rows.push(Row {
            setting: setting.name,
            value,
            from: Origin::Default,
        });
    }

    /// Whether somebody set it.
    pub(super) fn is_set(&self, setting: &Setting) -> bool {
        self.collected.given.contains_key(setting.name)
    }

    /// Whether it has a problem already, so that what follows from it says nothing.
    pub(super) fn failed(&self, setting: &Setting) -> bool {
        self.collected
            .problems
            .iter()
            .any(|problem| problem.setting.as_deref() == Some(setting.name))
    }

    pub(super) fn origin(&self, setting: &Setting) -> Origin {
        self.collected
            .given
            .get(setting.name)
            .map_or(Origin::Default, |given| given.origin.clone())
    }

    /// Notes a problem that lies in how settings go together.
    pub(super) fn problem(
        &mut self,
        setting: &Setting,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.collected.problems.push(Problem {
            setting: Some(setting.name.into()),
            from: Some(self.origin(setting)),
            problem: problem.into(),
            value: None,
            hint: Some(hint.into()),
        });
    }

    pub(super) fn warning(&mut self, setting: &Setting, warning: impl Into<String>) {
        let from = self.origin(setting);
        self.collected.warnings.push(Warning {
            setting: setting.name.into(),
            from,
            warning: warning.into(),
        });
    }

    pub(super) fn finish(self) -> (Vec<Row>, Vec<Warning>, Vec<Problem>) {
        (self.rows, self.collected.warnings, self.collected.problems)
    }
}

fn shown(setting: &Setting, value: &str) -> String {
    use super::kind::Kind;
    match setting.kind {
        _ if setting.is_secret() => format!("(hidden, {} bytes)", value.len()),
        Kind::Database => super::database::redacted(value),
        Kind::Redis => super::redis::redacted(value),
        _ => escaped(value),
    }
}
