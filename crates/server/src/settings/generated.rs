//! The files that follow from the table: `.env.example` and `docs/settings.md`.

use std::fmt::Write;

use super::table::{ALL, Fallback, Setting};

/// `.env.example`: every setting as a comment, so that a copy of the file changes nothing until a line is uncommented.
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of Countersign. Copy this file to `.env` and uncomment what you change.\n\
         # The process environment wins over this file, and this file over `countersign.toml`.\n\
         # An empty value counts as not set. `countersign config check` tells whether all is well.\n",
    );
    for (group, settings) in groups() {
        write(&mut text, format_args!("\n# --- {group} ---\n"));
        for setting in settings {
            write(&mut text, format_args!("\n# {}\n", setting.doc));
            write(
                &mut text,
                format_args!("# Value: {}.\n", setting.kind.describe()),
            );
            match setting.default {
                Fallback::Text(value) => {
                    write(&mut text, format_args!("#{}={value}\n", setting.name))
                }
                Fallback::Computed(words) => {
                    write(
                        &mut text,
                        format_args!("# Default: {words}.\n#{}=\n", setting.name),
                    );
                }
                Fallback::Unset => write(&mut text, format_args!("#{}=\n", setting.name)),
            }
        }
    }
    text
}

/// `docs/settings.md`.
pub fn settings_page() -> String {
    let mut text = String::from(INTRODUCTION);
    for (group, settings) in groups() {
        write(
            &mut text,
            format_args!(
                "\n## {group}\n\n| setting | value | default | what it does |\n|---|---|---|---|\n"
            ),
        );
        for setting in settings {
            let default = match setting.default {
                Fallback::Text(value) => format!("`{value}`"),
                Fallback::Computed(words) => words.to_owned(),
                Fallback::Unset => "not set".to_owned(),
            };
            let kind = setting.kind.describe();
            write(
                &mut text,
                format_args!(
                    "| `{}` | {kind} | {default} | {} |\n",
                    setting.name, setting.doc
                ),
            );
        }
    }
    text.push_str(
        "\n## Kept for later versions\n\nOther names that begin with `RATE_LIMIT_` are not used by this version; setting \
         one gives a warning.\n",
    );
    text
}

const INTRODUCTION: &str = "\
<!-- Made by `countersign config example docs`; change crates/server/src/settings/table.rs instead. -->
# Settings

Every setting has one name. It can stand in four places, of which the first that has it wins:

1. the process environment,
2. `.env` in the working directory,
3. `countersign.toml` in the working directory, or the file that `--config` or `COUNTERSIGN_CONFIG` names; there the name
   is written in lower case, numbers may stand without quotes, and lists may be arrays of texts,
4. the default.

An empty value counts as not set. `countersign config show` prints every value and where it comes from, secrets hidden;
`countersign config check` says what is wrong. A name that Countersign does not know is an error in `countersign.toml`,
and elsewhere if it begins with `COUNTERSIGN_`; other names in the environment are left alone, and so are the variables
that Kubernetes sets for a service called `countersign`. Wrong settings end the program with exit code 78.

`.env` is read strictly: `NAME=value` with nothing around the `=`; values with white space or quotation marks stand in
`'…'` (taken as they are) or `\"…\"` (with `\\n`, `\\r`, `\\t`, `\\\"`, `\\\\` and `\\$`); a `#` after white space begins a
comment; nothing is substituted.

A secret must be at least 32 bytes, and none that can be guessed: published examples, placeholders, repetitions and runs
of neighbouring characters are refused. `openssl rand -base64 48` makes a good one.
";

/// The settings under their headings, in the order of the table.
fn groups() -> Vec<(&'static str, Vec<&'static Setting>)> {
    let mut groups: Vec<(&str, Vec<&Setting>)> = Vec::new();
    for setting in ALL {
        match groups.last_mut() {
            Some((group, settings)) if *group == setting.group => settings.push(setting),
            _ => groups.push((setting.group, vec![setting])),
        }
    }
    groups
}

fn write(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a `String` does not fail.
    let _ = text.write_fmt(arguments);
}
