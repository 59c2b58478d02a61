//! What the statements of a migration do to tables, as far as it matters to whoever uses them meanwhile.

#[cfg(test)]
mod additive;
mod locks;
mod parse;
mod tokens;

#[cfg(test)]
pub(crate) use additive::not_additive;
pub(crate) use locks::{Engine, Lock, locks};
pub use locks::{Mode, Work};
pub(crate) use parse::steps;
pub(crate) use tokens::{do_the_same, statements};

/// One thing that a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    CreateTable {
        table: String,
        references: Vec<Reference>,
    },
    CreateIndex {
        table: String,
        unique: bool,
    },
    DropTable(String),
    Alter {
        table: String,
        change: Change,
    },
    /// `INSERT`, `UPDATE` or `DELETE`.
    Write(String),
    /// Something that nobody has thought about here.
    Unknown,
}

/// What `ALTER TABLE` changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    AddColumn(Column),
    DropColumn,
    DropConstraint,
    Rename,
    /// Another type of a column.
    Type,
    SetNotNull,
    DropNotNull,
    /// `SET DEFAULT` or `DROP DEFAULT`.
    Default,
    AddCheck {
        validated: bool,
    },
    /// A primary key, too.
    AddUnique,
    AddForeignKey {
        reference: Reference,
        validated: bool,
    },
    Validate,
}

/// A column that is added to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) not_null: bool,
    pub(crate) default: DefaultValue,
    pub(crate) unique: bool,
    pub(crate) check: bool,
    pub(crate) reference: Option<Reference>,
}

/// What rows get that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefaultValue {
    None,
    /// The same for all, and a literal.
    Constant,
    /// The same for all rows that are there: the time of the transaction.
    OfTransaction,
    /// Computed for each row.
    Computed,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) table: String,
    /// A row that is referred to can still be deleted.
    pub(crate) lets_delete: bool,
}
