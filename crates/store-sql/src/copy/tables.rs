//! The table of tables: what is copied, and what is not and why. A test compares it with the schema of both engines.
//!
//! Every statement is made from a line of it by the macros below, so that it is a constant like all others.

/// What a column holds, whatever each engine calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Uuid,
    Text,
    Time,
    Int,
    Bytes,
    Json,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// The statements have it already.
    #[cfg(test)]
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// A table that is copied.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The first is the key that it is paged by, where it is paged.
    pub(crate) columns: &'static [Column],
    pub(crate) count: &'static str,
    /// Writes rows given as one list for each column.
    pub(crate) insert: &'static str,
    /// Have every change refused.
    pub(crate) freeze: &'static str,
    pub(crate) thaw: &'static str,
    /// `None`: it stays small, and is always read and written whole.
    pub(crate) paging: Option<Paging>,
    /// Reads all rows, in no order.
    pub(crate) all: &'static str,
    pub(crate) clear: &'static str,
}

/// How a table is read in parts, in the order of its key.
#[derive(Debug)]
pub(crate) struct Paging {
    /// The first rows.
    pub(crate) first: &'static str,
    /// The rows after a key.
    pub(crate) after: &'static str,
    /// The rows with keys of a list.
    pub(crate) of_keys_sqlite: &'static str,
    pub(crate) of_keys_postgres: &'static str,
    /// Removes the rows with keys of a list.
    pub(crate) delete: &'static str,
    /// Has every change noted in `copy_changes`.
    pub(crate) watch: &'static str,
    pub(crate) unwatch: &'static str,
}

/// A table that is not copied.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
}

macro_rules! postgres_type {
    (Uuid) => {
        "uuid"
    };
    (Text) => {
        "text"
    };
    (Time) => {
        "timestamptz"
    };
    (Int) => {
        "bigint"
    };
    (Bytes) => {
        "bytea"
    };
    (Json) => {
        "jsonb"
    };
}

/// A key in a JSON list, as SQLite keeps it.
macro_rules! listed_key {
    (Uuid) => {
        "unhex(value)"
    };
    (Int) => {
        "value"
    };
}

macro_rules! columns {
    ($($column:ident $kind:ident)+) => {
        &[$(Column { #[cfg(test)] name: stringify!($column), kind: Kind::$kind }),+]
    };
}

macro_rules! insert {
    ($table:ident: $n:literal $key:ident $key_kind:ident $(, $number:literal $column:ident $kind:ident)+) => {
        concat!(
            "INSERT INTO ", stringify!($table), " (", stringify!($key), $(", ", stringify!($column),)+
            // For numbers that the database gives out otherwise.
            ") OVERRIDING SYSTEM VALUE SELECT * FROM unnest($", $n, "::", postgres_type!($key_kind), "[]",
            $(", $", $number, "::", postgres_type!($kind), "[]",)+ ")"
        )
    };
}

macro_rules! freeze {
    ($table:ident) => {
        concat!(
            freeze!($table INSERT), freeze!($table UPDATE), freeze!($table DELETE),
        )
    };
    ($table:ident $change:ident) => {
        concat!(
            "CREATE TRIGGER IF NOT EXISTS moved_", stringify!($table), "_", stringify!($change),
            " BEFORE ", stringify!($change), " ON ", stringify!($table),
            " BEGIN SELECT RAISE(ABORT, 'this database has moved'); END;"
        )
    };
}

macro_rules! thaw {
    ($table:ident) => {
        concat!(
            "DROP TRIGGER IF EXISTS moved_",
            stringify!($table),
            "_INSERT;",
            "DROP TRIGGER IF EXISTS moved_",
            stringify!($table),
            "_UPDATE;",
            "DROP TRIGGER IF EXISTS moved_",
            stringify!($table),
            "_DELETE;"
        )
    };
}

macro_rules! watch {
    ($table:ident $key:ident) => {
        concat!(
            watch!($table INSERT NEW $key), watch!($table UPDATE NEW $key), watch!($table DELETE OLD $key),
        )
    };
    ($table:ident $change:ident $row:ident $key:ident) => {
        concat!(
            "CREATE TRIGGER IF NOT EXISTS copy_", stringify!($table), "_", stringify!($change),
            " AFTER ", stringify!($change), " ON ", stringify!($table),
            " BEGIN INSERT INTO copy_changes (kind, key) VALUES ('", stringify!($table), "', ",
            stringify!($row), ".", stringify!($key), "); END;"
        )
    };
}

macro_rules! unwatch {
    ($table:ident) => {
        concat!(
            "DROP TRIGGER IF EXISTS copy_",
            stringify!($table),
            "_INSERT;",
            "DROP TRIGGER IF EXISTS copy_",
            stringify!($table),
            "_UPDATE;",
            "DROP TRIGGER IF EXISTS copy_",
            stringify!($table),
            "_DELETE;"
        )
    };
}

macro_rules! select {
    ($table:ident: $key:ident $(, $column:ident)+; $rest:expr) => {
        concat!(
            "SELECT ", stringify!($key), $(", ", stringify!($column),)+
            " FROM ", stringify!($table), $rest
        )
    };
}

macro_rules! paged {
    ($table:ident: 1 $key:ident $key_kind:ident, 2 $second:ident $second_kind:ident $(, $number:literal $column:ident $kind:ident)+) => {
        Table {
            name: stringify!($table),
            columns: columns!($key $key_kind $second $second_kind $($column $kind)+),
            count: concat!("SELECT count(*) FROM ", stringify!($table)),
            insert: concat!(
                insert!($table: 1 $key $key_kind, 2 $second $second_kind $(, $number $column $kind)+),
                " ON CONFLICT (", stringify!($key), ") DO UPDATE SET ",
                stringify!($second), " = excluded.", stringify!($second),
                $(", ", stringify!($column), " = excluded.", stringify!($column),)+
            ),
            freeze: freeze!($table),
            thaw: thaw!($table),
            all: select!($table: $key, $second $(, $column)+; ""),
            clear: concat!("DELETE FROM ", stringify!($table)),
            paging: Some(Paging {
                first: select!($table: $key, $second $(, $column)+;
                    concat!(" ORDER BY ", stringify!($key), " LIMIT $1")),
                after: select!($table: $key, $second $(, $column)+;
                    concat!(" WHERE ", stringify!($key), " > $2 ORDER BY ", stringify!($key), " LIMIT $1")),
                of_keys_sqlite: select!($table: $key, $second $(, $column)+;
                    concat!(" WHERE ", stringify!($key), " IN (SELECT ", listed_key!($key_kind), " FROM json_each($1))")),
                of_keys_postgres: select!($table: $key, $second $(, $column)+;
                    concat!(" WHERE ", stringify!($key), " = ANY($1)")),
                delete: concat!("DELETE FROM ", stringify!($table), " WHERE ", stringify!($key), " = ANY($1)"),
                watch: watch!($table $key),
                unwatch: unwatch!($table),
            }),
        }
    };
}

macro_rules! whole {
    ($table:ident: 1 $key:ident $key_kind:ident $(, $number:literal $column:ident $kind:ident)+) => {
        Table {
            name: stringify!($table),
            columns: columns!($key $key_kind $($column $kind)+),
            count: concat!("SELECT count(*) FROM ", stringify!($table)),
            insert: insert!($table: 1 $key $key_kind $(, $number $column $kind)+),
            freeze: freeze!($table),
            thaw: thaw!($table),
            all: select!($table: $key $(, $column)+; ""),
            clear: concat!("DELETE FROM ", stringify!($table)),
            paging: None,
        }
    };
}

/// What is copied, in an order in which rows come after those that they refer to. A column stands with its place.
#[rustfmt::skip]
pub(crate) static COPIED: [Table; 8] = [
    paged!(users:
        1 id Uuid, 2 email Text, 3 email_key Text, 4 email_verified_at Time, 5 password_hash Text, 6 name Text,
        7 roles Json, 8 disabled_at Time, 9 last_sign_in_at Time, 10 created_at Time, 11 updated_at Time,
        12 audit_salt Bytes),
    paged!(sessions:
        1 id Uuid, 2 user_id Uuid, 3 generation Int, 4 rotated_at Time, 5 created_at Time, 6 last_used_at Time,
        7 idle_expires_at Time, 8 expires_at Time, 9 revoked_at Time, 10 revoke_reason Text, 11 ip Text,
        12 user_agent Text, 13 amr Json, 14 auth_time Time, 15 ended_by Uuid),
    paged!(revocations:
        1 seq Int, 2 kind Text, 3 subject Uuid, 4 not_before Time, 5 created_at Time, 6 expires_at Time, 7 event Uuid),
    paged!(audit_events:
        1 id Uuid, 2 at Time, 3 kind Text, 4 outcome Text, 5 reason Text, 6 by Text, 7 user_id Uuid, 8 session_id Uuid,
        9 details Text, 10 personal Bytes, 11 address_tag Bytes, 12 mac Bytes, 13 position Int, 14 hash Bytes),
    whole!(audit_marks:
        1 kind Text, 2 slot Int, 3 position Int, 4 hash Bytes, 5 at Time, 6 signature Bytes),
    whole!(signing_keys:
        1 kid Text, 2 algorithm Text, 3 public_jwk Text, 4 sealed_private Bytes, 5 created_at Time, 6 activates_at Time,
        7 expires_at Time),
    whole!(service_keys:
        1 id Uuid, 2 name Text, 3 hash Bytes, 4 scopes Json, 5 created_at Time, 6 expires_at Time, 7 revoked_at Time),
    whole!(installation:
        1 id Int, 2 secret_fingerprint Bytes, 3 created_at Time, 4 updated_at Time, 5 sessions_valid_from Time,
        6 sessions_ended_by Uuid),
];

/// What is not.
pub(crate) static LEFT: [Left; 5] = [
    Left {
        name: "leases",
        why: "they belong to running processes, and lapse within minutes",
    },
    Left {
        name: "rate_limits",
        why: "limits are counted in memory on SQLite, and begin anew",
    },
    Left {
        name: "session_copies",
        why: "instances with Redis begin a copy of their own, so that nothing old in Redis is trusted",
    },
    Left {
        name: "schema_migrations",
        why: "each engine has its own migrations",
    },
    Left {
        name: "moves",
        why: "it is where the copy itself is noted",
    },
];
