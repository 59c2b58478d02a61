//! Whether code that does not know of a migration can go on after it.

use std::collections::BTreeSet;

use super::{Change, Column, DefaultValue, Reference, Step, statements, steps};

/// Why code that does not know the script of a migration could stumble over what it leaves; empty: it could not. Every
/// statement of such code works as before: what it reads is there, and what it writes is taken.
pub(crate) fn not_additive(script: &str) -> Vec<String> {
    let mut new = BTreeSet::new();
    let mut found = Vec::new();
    for (place, statement) in statements(script).iter().enumerate() {
        for step in steps(&statement.words) {
            if let Some(why) = objection(&step, &new) {
                found.push(format!("statement {}: {why}", place + 1));
            }
            if let Step::CreateTable { table, .. } = step {
                new.insert(table);
            }
        }
    }
    found
}

fn objection(step: &Step, new: &BTreeSet<String>) -> Option<&'static str> {
    let holds_up =
        |reference: &Reference| !reference.lets_delete && !new.contains(&reference.table);
    match step {
        Step::CreateTable { references, .. } => references.iter().any(holds_up).then_some(
            "refers to a table so that rows of it cannot be deleted any more: add `ON DELETE CASCADE` or `SET NULL`",
        ),
        Step::CreateIndex { unique: false, .. } => None,
        Step::CreateIndex { table, .. } | Step::Write(table) | Step::Alter { table, .. }
            if new.contains(table) =>
        {
            None
        }
        Step::CreateIndex { .. } => Some("a unique index on a table that older code writes"),
        Step::DropTable(_) => Some("drops a table"),
        Step::Write(_) => Some("changes rows of a table that older code uses"),
        Step::Alter { change, .. } => match change {
            Change::AddColumn(column) => of_column(column, holds_up),
            Change::DropColumn => Some("drops a column"),
            Change::DropConstraint => Some("drops a constraint, on which older code may rely"),
            Change::Rename => Some("renames"),
            Change::Type => Some("changes a type"),
            Change::SetNotNull => Some("forbids NULL, which older code may write"),
            Change::DropNotNull => Some("allows NULL, which older code may not be able to read"),
            Change::Default => Some("changes a default, which older code may leave a column to"),
            Change::AddCheck { .. } => Some("adds a check, which may refuse what older code writes"),
            Change::AddUnique => Some("adds a unique key to a table that older code writes"),
            Change::AddForeignKey { .. } => Some("adds a foreign key, which may refuse what older code writes"),
            Change::Validate => None,
        },
        Step::Unknown => Some("is not understood"),
    }
}

fn of_column(column: &Column, holds_up: impl Fn(&Reference) -> bool) -> Option<&'static str> {
    if column.unique {
        return Some("adds a unique column to a table that older code writes");
    }
    if column.check {
        return Some("adds a check, which may refuse what older code writes");
    }
    if column.reference.as_ref().is_some_and(holds_up) {
        return Some(
            "refers to a table so that rows of it cannot be deleted any more: add `ON DELETE CASCADE` or `SET NULL`",
        );
    }
    match (column.not_null, column.default) {
        (true, DefaultValue::None) => {
            Some("adds a column that older code does not fill, and that must be filled")
        }
        (_, DefaultValue::OfTransaction | DefaultValue::Computed) => {
            Some("adds a column with a default that is not constant")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_older_code_does_not_notice() {
        let additive = [
            "CREATE TABLE a (id BIGINT PRIMARY KEY, b TEXT NOT NULL UNIQUE CHECK (b <> '')); INSERT INTO a VALUES (1, 'x')",
            "CREATE TABLE IF NOT EXISTS a (id UUID REFERENCES users (id) ON DELETE CASCADE)",
            "CREATE TABLE a (id UUID REFERENCES users (id) ON UPDATE CASCADE ON DELETE SET NULL, c TEXT)",
            "CREATE TABLE a (id BIGINT PRIMARY KEY); CREATE TABLE b (a BIGINT REFERENCES a (id))",
            "CREATE TABLE a (b TEXT); CREATE UNIQUE INDEX a_b ON a (b); ALTER TABLE a ADD CHECK (b <> '')",
            "CREATE INDEX users_name ON users (name) WHERE name IS NOT NULL",
            "ALTER TABLE users ADD COLUMN a TEXT",
            "ALTER TABLE users ADD COLUMN a BYTEA NULL, ADD COLUMN b NUMERIC(3, 1) NOT NULL DEFAULT 0.5",
            "ALTER TABLE users ADD COLUMN a TEXT NOT NULL DEFAULT 'x'::text",
            "ALTER TABLE users ADD COLUMN a BIGINT DEFAULT -1 NOT NULL",
            "alter table users add column a boolean not null default false",
        ];
        for script in additive {
            assert_eq!(not_additive(script), [""; 0], "{script}");
        }
    }

    #[test]
    fn what_older_code_could_stumble_over() {
        let breaking = [
            ("DROP TABLE users", "drops a table"),
            ("ALTER TABLE users DROP COLUMN name", "drops a column"),
            (
                "ALTER TABLE users ADD COLUMN a TEXT, DROP COLUMN name",
                "drops a column",
            ),
            ("ALTER TABLE users RENAME TO people", "renames"),
            ("ALTER TABLE users RENAME COLUMN name TO called", "renames"),
            (
                "ALTER TABLE users ALTER COLUMN name TYPE VARCHAR(9)",
                "a type",
            ),
            (
                "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
                "forbids NULL",
            ),
            (
                "ALTER TABLE users ALTER COLUMN name DROP NOT NULL",
                "allows NULL",
            ),
            (
                "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'",
                "a default",
            ),
            (
                "ALTER TABLE users ADD COLUMN a TEXT NOT NULL",
                "must be filled",
            ),
            (
                "ALTER TABLE users ADD COLUMN a UUID DEFAULT gen_random_uuid()",
                "not constant",
            ),
            (
                "ALTER TABLE users ADD COLUMN a TIMESTAMPTZ DEFAULT now()",
                "not constant",
            ),
            (
                "ALTER TABLE users ADD COLUMN a INTEGER DEFAULT (1 + random())",
                "not constant",
            ),
            (
                "ALTER TABLE users ADD COLUMN a BIGINT GENERATED ALWAYS AS IDENTITY",
                "not constant",
            ),
            ("ALTER TABLE users ADD COLUMN a TEXT UNIQUE", "unique"),
            (
                "ALTER TABLE users ADD COLUMN a TEXT CHECK (a <> '')",
                "a check",
            ),
            (
                "ALTER TABLE users ADD COLUMN a UUID REFERENCES sessions (id)",
                "deleted",
            ),
            (
                "ALTER TABLE users ADD CONSTRAINT a CHECK (name <> '')",
                "a check",
            ),
            (
                "ALTER TABLE users ADD CHECK (name <> '') NOT VALID",
                "a check",
            ),
            ("ALTER TABLE users ADD CONSTRAINT a UNIQUE (name)", "unique"),
            (
                "ALTER TABLE users ADD FOREIGN KEY (id) REFERENCES sessions (id)",
                "foreign key",
            ),
            (
                "ALTER TABLE users DROP CONSTRAINT users_pkey",
                "a constraint",
            ),
            ("CREATE UNIQUE INDEX users_name ON users (name)", "unique"),
            ("CREATE TABLE a (id UUID REFERENCES users (id))", "deleted"),
            (
                "CREATE TABLE a (b UUID REFERENCES users (id), c UUID REFERENCES users (id) ON DELETE CASCADE)",
                "deleted",
            ),
            ("UPDATE users SET name = 'x'", "changes rows"),
            ("DELETE FROM users", "changes rows"),
            ("INSERT INTO users SELECT * FROM users", "changes rows"),
            (
                "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END",
                "not understood",
            ),
            (
                "ALTER TABLE public.users ADD COLUMN a TEXT",
                "not understood",
            ),
            ("ALTER TABLE users ADD a TEXT", "not understood"),
            (
                "CREATE INDEX CONCURRENTLY a ON users (name)",
                "not understood",
            ),
            ("VACUUM", "not understood"),
        ];
        for (script, why) in breaking {
            let found = not_additive(script).join("; ");
            assert!(found.contains(why), "{script}: {found:?}");
        }
    }
}
