//! The migrations of both engines. The same number means the same tables, columns and unique keys.

/// One step of the schema. Once released it never changes: its text is kept in the database and
/// compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    pub(crate) number: i64,
    pub(crate) name: &'static str,
    pub(crate) sql: &'static str,
}

impl Migration {
    /// What the migration locks while it runs, from the first line of its file.
    pub(crate) fn locks(&self) -> &'static str {
        let first = self.sql.lines().next().unwrap_or_default();
        first.strip_prefix("-- locks: ").unwrap_or("not stated")
    }
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

pub(crate) const SQLITE: &[Migration] = folder!("sqlite": (1, "0001_core"), (2, "0002_rate_limits"), (3, "0003_audit"), (4, "0004_session_copies"), (5, "0005_service_keys"), (7, "0007_moves"));
pub(crate) const POSTGRES: &[Migration] = folder!("postgres": (1, "0001_core"), (2, "0002_rate_limits"), (3, "0003_audit"), (4, "0004_session_copies"), (5, "0005_service_keys"), (7, "0007_moves"));
