use countersign_store::StoreError;

/// What went wrong below the statements, sorted by type and code, never by text.
#[derive(Debug)]
pub(crate) enum DbError {
    /// The connection is dead; another one may work.
    Gone(String),
    /// The database is away, too slow, or refuses writes.
    Unavailable(String),
    /// Somebody else held a lock for too long.
    Locked(String),
    /// A unique key is taken.
    Taken(String),
    /// A statement that does not fit the schema, or a value of a wrong kind.
    Corrupt(String),
}

impl From<DbError> for StoreError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone(text) | DbError::Unavailable(text) | DbError::Locked(text) => {
                Self::Unavailable(text)
            }
            DbError::Taken(text) | DbError::Corrupt(text) => Self::Corrupt(text),
        }
    }
}

impl DbError {
    pub(super) fn sqlite(error: sqlx::Error) -> Self {
        Self::sort(error, sqlite_code)
    }

    pub(super) fn postgres(error: sqlx::Error) -> Self {
        Self::sort(error, sqlstate)
    }

    fn sort(error: sqlx::Error, by_code: fn(&str) -> fn(String) -> Self) -> Self {
        use sqlx::Error as E;
        let kind = match &error {
            E::Database(database) => by_code(database.code().as_deref().unwrap_or_default()),
            // A broken protocol leaves a connection out of step: as good as dead.
            E::Io(_) | E::Tls(_) | E::Protocol(_) | E::WorkerCrashed => Self::Gone,
            E::PoolTimedOut | E::PoolClosed | E::BeginFailed => Self::Unavailable,
            _ => Self::Corrupt,
        };
        kind(error.to_string())
    }
}

/// PostgreSQL's codes (appendix A of its manual). The first two characters are the class.
fn sqlstate(code: &str) -> fn(String) -> DbError {
    match code {
        "23505" => DbError::Taken,
        // Shut down by an administrator or after a crash, starting up, or idle in a transaction
        // for too long: each ends the connection.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04" => DbError::Gone,
        // Lock not available, deadlock.
        "55P03" | "40P01" => DbError::Locked,
        // Read-only transaction, serialization failure.
        "25006" | "40001" => DbError::Unavailable,
        // A login that no longer works, or a database that is not there.
        "28000" | "28P01" | "3D000" => DbError::Unavailable,
        _ => match code.get(..2) {
            Some("08") => DbError::Gone,
            // Out of resources, cancelled by an operator or a time limit, a system error.
            Some("53" | "57" | "58") => DbError::Unavailable,
            _ => DbError::Corrupt,
        },
    }
}

/// SQLite's extended result codes; the low byte is the primary one.
fn sqlite_code(code: &str) -> fn(String) -> DbError {
    const UNIQUE: i64 = 2067;
    const PRIMARY_KEY: i64 = 1555;
    // The only triggers that refuse anything are those of a database that has moved.
    const TRIGGER: i64 = 1811;
    let Ok(code) = code.parse::<i64>() else {
        return DbError::Corrupt;
    };
    match code {
        UNIQUE | PRIMARY_KEY => DbError::Taken,
        TRIGGER => DbError::Unavailable,
        // BUSY, LOCKED.
        _ if matches!(code & 0xff, 5 | 6) => DbError::Locked,
        // NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
        _ if matches!(code & 0xff, 7..=10 | 13..=15) => DbError::Unavailable,
        _ => DbError::Corrupt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(error: &DbError) -> &'static str {
        match error {
            DbError::Gone(_) => "gone",
            DbError::Unavailable(_) => "unavailable",
            DbError::Locked(_) => "locked",
            DbError::Taken(_) => "taken",
            DbError::Corrupt(_) => "corrupt",
        }
    }

    #[test]
    fn sqlstates() {
        for (code, expected) in [
            ("23505", "taken"),
            ("08006", "gone"),
            ("57P01", "gone"),
            ("57P03", "gone"),
            ("25P03", "gone"),
            ("57014", "unavailable"),
            ("53300", "unavailable"),
            ("53100", "unavailable"),
            ("55P03", "locked"),
            ("25006", "unavailable"),
            ("40001", "unavailable"),
            ("40P01", "locked"),
            ("58030", "unavailable"),
            ("28P01", "unavailable"),
            ("42P01", "corrupt"),
            ("22P02", "corrupt"),
            ("23503", "corrupt"),
            ("", "corrupt"),
        ] {
            assert_eq!(name(&sqlstate(code)(String::new())), expected, "{code}");
        }
    }

    #[test]
    fn sqlite_codes() {
        for (code, expected) in [
            ("2067", "taken"),
            ("1555", "taken"),
            ("5", "locked"),
            ("517", "locked"),
            ("6", "locked"),
            ("262", "locked"),
            ("8", "unavailable"),
            ("1032", "unavailable"),
            ("10", "unavailable"),
            ("778", "unavailable"),
            ("13", "unavailable"),
            ("14", "unavailable"),
            ("1811", "unavailable"),
            ("1", "corrupt"),
            ("11", "corrupt"),
            ("26", "corrupt"),
            ("787", "corrupt"),
            ("", "corrupt"),
        ] {
            assert_eq!(name(&sqlite_code(code)(String::new())), expected, "{code}");
        }
    }
}
