//! Files that are made from the table.

use countersign_server::settings::table::ALL;
use countersign_server::settings::{generated, weak};

use crate::{good, places};

/// The text of a file at the top of the repository.
fn committed(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

#[test]
fn the_committed_files_are_unchanged() {
    let hint = "run `countersign config example > .env.example` and `countersign config example docs > docs/settings.md`";
    assert_eq!(
        committed(".env.example"),
        generated::env_example(),
        "{hint}"
    );
    assert_eq!(
        committed("docs/settings.md"),
        generated::settings_page(),
        "{hint}"
    );
}

#[test]
fn both_name_every_setting() {
    let (example, page) = (generated::env_example(), generated::settings_page());
    for setting in ALL {
        assert_eq!(
            example.matches(&format!("\n#{}=", setting.name)).count(),
            1,
            "{}",
            setting.name
        );
        assert!(
            page.contains(&format!("\n| `{}` | ", setting.name)),
            "{}",
            setting.name
        );
    }
}

/// Whoever copies the example and uncomments every line has the defaults, and no secret that everybody knows.
#[test]
fn the_example_is_valid_as_it_is_and_uncommented() {
    let example = generated::env_example();
    let as_it_is = good(&places(&[], &example, ""));
    let uncommented: String = example
        .lines()
        .map(|line| {
            match line
                .strip_prefix('#')
                .filter(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
            {
                Some(setting) => format!("{setting}\n"),
                None => format!("{line}\n"),
            }
        })
        .collect();
    let all = good(&places(&[], &uncommented, ""));
    assert_eq!(all.settings, as_it_is.settings);
    assert!(
        all.rows
            .iter()
            .filter(|row| row.from.to_string().starts_with("`.env` line"))
            .count()
            > 15
    );
    assert!(all.warnings.is_empty());
    for line in uncommented.lines().filter(|line| line.contains("SECRET=")) {
        let (_, value) = line.split_once('=').unwrap();
        assert!(weak::weakness(value).is_some(), "{line}");
    }
}
