//! `DATABASE_URL`.

use std::path::PathBuf;

use url::Url;

use super::reader::{Fault, Shown};
use super::secret::Secret;

/// Where users and sessions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file; a relative path starts at the working directory.
    Sqlite {
        /// The file.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// Its URL, password included.
        url: Secret,
    },
}

impl Database {
    /// Whether several instances, on several machines, can share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Database::Postgres { .. })
    }
}

pub(super) fn parse(text: &str) -> Result<Database, Fault> {
    let hint = "write `sqlite:path/to/file.db` or `postgres://user:password@host/database`";
    match text
        .split_once(':')
        .map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest))
    {
        Some((scheme, rest)) if scheme == "sqlite" => sqlite(rest),
        Some((scheme, _)) if scheme == "postgres" || scheme == "postgresql" => postgres(text),
        Some((scheme, _))
            if scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '+') =>
        {
            let shown = Shown::As(format!("{scheme}:…"));
            Err(
                Fault::new("names a kind of database that Countersign does not run on")
                    .hint(hint)
                    .shown(shown),
            )
        }
        _ => Err(Fault::new("is not a database URL")
            .hint(hint)
            .shown(Shown::Hidden)),
    }
}

fn sqlite(rest: &str) -> Result<Database, Fault> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() {
        return Err(Fault::new("names no file").hint("write `sqlite:path/to/file.db`"));
    }
    if path.starts_with(':') {
        return Err(
            Fault::new("asks for a database in memory, which would forget every user")
                .hint("write `sqlite:path/to/file.db`"),
        );
    }
    if path.contains(['?', '#']) {
        return Err(
            Fault::new("has options after the path, which Countersign sets itself")
                .hint("leave out everything from the `?` or `#` on"),
        );
    }
    if path.ends_with('/') {
        return Err(Fault::new("names a folder").hint("add a file name, such as `countersign.db`"));
    }
    Ok(Database::Sqlite { path: path.into() })
}

fn postgres(text: &str) -> Result<Database, Fault> {
    let encode = "percent-encode special characters of the password, such as `%40` for an at sign";
    if !text.contains("://") {
        return Err(Fault::new("lacks `//` after the scheme")
            .hint("write `postgres://user:password@host/database`")
            .shown(Shown::Hidden));
    }
    let url = Url::parse(text).map_err(|error| {
        Fault::new(format!("is not a URL ({error})"))
            .hint(encode)
            .shown(Shown::Hidden)
    })?;
    if has_stray_password(&url) || url.fragment().is_some() {
        return Err(Fault::new("has a `#`, or an at sign after the host")
            .hint(encode)
            .shown(Shown::Hidden));
    }
    Ok(Database::Postgres {
        url: Secret::new(text),
    })
}

/// Whether a password with an unescaped `/` or `?` made the URL end too early: part of it would then be taken for the path
/// or for options, and be shown.
fn has_stray_password(url: &Url) -> bool {
    url.path().contains('@') || url.query().is_some_and(|query| query.contains('@'))
}

/// A database URL of the command line; `Err`: one line that begins with the option.
pub fn given(option: &str, text: &str) -> Result<Database, String> {
    parse(text).map_err(|fault| match fault.hint {
        Some(hint) => format!("`{option}` {}: {hint}", fault.problem),
        None => format!("`{option}` {}", fault.problem),
    })
}

/// The server and the database of a PostgreSQL URL that `parse` accepted, and nothing else of it.
pub fn place(text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return "postgres://…".to_owned();
    };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    super::problem::escaped(&format!(
        "postgres://{host}{}{}",
        port.unwrap_or_default(),
        url.path()
    ))
}

/// A database URL that [`parse`] accepted, without what is secret in it.
pub(super) fn redacted(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return super::problem::escaped(text);
    };
    if url.scheme() == "sqlite" {
        return super::problem::escaped(text);
    }
    if url.password().is_some() && url.set_password(Some("hidden")).is_err() {
        return "(hidden)".into();
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, value)| {
            let secret = key.to_ascii_lowercase().contains("pass");
            (
                key.into_owned(),
                if secret {
                    "hidden".into()
                } else {
                    value.into_owned()
                },
            )
        })
        .collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    super::problem::escaped(url.as_str())
}
