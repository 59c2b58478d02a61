//! The migrations of both engines. The same number means the same tables, columns and unique keys.

/// One step of the schema. Once released it never changes, comments aside: its text is kept in the database and
/// compared, and older code reads there whether it is still served.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

impl Migration {
    /// The oldest schema that code may know to go on when this migration has been applied.
    pub(crate) fn serves(&self) -> i64 {
        serves(self.sql).unwrap_or(self.number)
    }
}

/// What a migration's header says about the code that it serves: a line `-- serves: N`. The header is the comment that the
/// text begins with.
pub(crate) fn serves(sql: &str) -> Option<i64> {
    header(sql, "serves")?.trim().parse().ok()
}

/// The kinds of announcement that this schema is the first to know: those that end sessions or refuse tokens
/// (`-- ends: …`), and all others (`-- tells: …`).
#[cfg(test)]
pub(crate) fn kinds<'a>(sql: &'a str, what: &str) -> Vec<&'a str> {
    let names = header(sql, what).unwrap_or_default();
    let names = names.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).collect()
}

fn header<'a>(sql: &'a str, name: &str) -> Option<&'a str> {
    let lines = sql.lines().map_while(|line| line.strip_prefix("-- "));
    let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    values.next()
}

macro_rules! folder {
    ($folder:literal: $(($number:literal, $name:literal)),+ $(,)?) => {
        &[$(Migration {
            number: $number,
            name: $name,
            sql: include_str!(concat!("../migrations/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

pub(crate) const SQLITE: &[Migration] = folder!("sqlite": (1, "0001_core"), (2, "0002_rate_limits"), (3, "0003_audit"), (4, "0004_session_copies"), (5, "0005_service_keys"), (6, "0006_open_kinds"), (7, "0007_moves"));
pub(crate) const POSTGRES: &[Migration] = folder!("postgres": (1, "0001_core"), (2, "0002_rate_limits"), (3, "0003_audit"), (4, "0004_session_copies"), (5, "0005_service_keys"), (6, "0006_open_kinds"), (7, "0007_moves"));
