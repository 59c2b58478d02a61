//! Rows as both engines give them: read by the kinds of the columns, digested in one encoding, written as lists.

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use uuid::Uuid;

use super::sum::Digest;
use super::tables::{Column, Kind, Table};
use crate::driver::{Columns, DbError, Json, List, Row, Value};

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Uuid(Uuid),
    Text(String),
    Time(Timestamp),
    Int(i64),
    Bytes(Vec<u8>),
    /// JSON text in one form: PostgreSQL does not keep the form that it was given.
    Json(String),
}

/// A key that a table is paged by. Both engines have the same order of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Key {
    Uuid(Uuid),
    Int(i64),
}

impl Key {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Uuid(id) => id.into(),
            Self::Int(number) => number.into(),
        }
    }

    /// As it is noted in the progress.
    pub(super) fn text(self) -> String {
        match self {
            Self::Uuid(id) => id.to_string(),
            Self::Int(number) => number.to_string(),
        }
    }

    pub(super) fn parse(table: &Table, text: &str) -> Option<Self> {
        match table.columns.first()?.kind {
            Kind::Uuid => text.parse().ok().map(Self::Uuid),
            _ => text.parse().ok().map(Self::Int),
        }
    }

    /// Reads it from a column of any type.
    pub(super) fn take(table: &Table, columns: &mut Columns<'_>) -> Result<Self, DbError> {
        match table.columns.first().map(|column| column.kind) {
            Some(Kind::Uuid) => columns.take().map(Self::Uuid),
            _ => columns.take().map(Self::Int),
        }
    }
}

/// Keys as one value.
pub(super) fn keys(keys: &[Key]) -> Value {
    let ids = keys.iter().map(|key| match key {
        Key::Uuid(id) => Some(*id),
        Key::Int(_) => None,
    });
    match ids.collect::<Option<Vec<_>>>() {
        Some(ids) => Value::List(List::Uuids(ids.into_iter().map(Some).collect())),
        None => {
            let numbers = keys.iter().filter_map(|key| match key {
                Key::Int(number) => Some(Some(*number)),
                Key::Uuid(_) => None,
            });
            Value::List(List::Ints(numbers.collect()))
        }
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record(pub(super) Vec<Cell>);

impl Record {
    pub(super) fn read(table: &Table, row: &Row) -> Result<Self, DbError> {
        let mut columns = row.columns();
        let cells = table
            .columns
            .iter()
            .map(|column| cell(column, &mut columns));
        cells.collect::<Result<_, _>>().map(Self)
    }

    /// Its key, where the table is paged.
    pub(super) fn key(&self) -> Option<Key> {
        match self.0.first()? {
            Cell::Uuid(id) => Some(Key::Uuid(*id)),
            Cell::Int(number) => Some(Key::Int(*number)),
            _ => None,
        }
    }

    /// The SHA-256 of the table's name and of all values, each with its kind and its length.
    pub(super) fn digest(&self, table: &Table) -> Digest {
        let mut context = Context::new(&SHA256);
        let mut put = |kind: u8, bytes: &[u8]| {
            context.update(&[kind]);
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        put(b'#', table.name.as_bytes());
        for cell in &self.0 {
            match cell {
                Cell::Null => put(b'0', &[]),
                Cell::Uuid(id) => put(b'u', id.as_bytes()),
                Cell::Text(text) => put(b't', text.as_bytes()),
                Cell::Time(time) => put(b'@', &time.as_microsecond().to_be_bytes()),
                Cell::Int(number) => put(b'i', &number.to_be_bytes()),
                Cell::Bytes(bytes) => put(b'b', bytes),
                Cell::Json(text) => put(b'j', text.as_bytes()),
            }
        }
        Digest::of(context.finish().as_ref())
    }
}

fn cell(column: &Column, columns: &mut Columns<'_>) -> Result<Cell, DbError> {
    let read = match column.kind {
        Kind::Uuid => columns.take_opt()?.map(Cell::Uuid),
        Kind::Text => columns.take_opt()?.map(Cell::Text),
        Kind::Time => columns.take_opt()?.map(Cell::Time),
        Kind::Int => columns.take_opt()?.map(Cell::Int),
        Kind::Bytes => columns.take_opt()?.map(Cell::Bytes),
        Kind::Json => columns
            .take_opt::<Json>()?
            .map(|json| Cell::Json(json.0.to_string())),
    };
    Ok(read.unwrap_or(Cell::Null))
}

/// Rows as one list for each column.
pub(super) fn lists(table: &Table, records: &[Record]) -> Vec<Value> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(place, column)| {
            let cells = records.iter().map(|record| record.0.get(place));
            Value::List(list(column.kind, cells))
        })
        .collect()
}

fn list<'a>(kind: Kind, cells: impl Iterator<Item = Option<&'a Cell>>) -> List {
    macro_rules! of {
        ($cell:ident) => {
            cells
                .map(|cell| match cell {
                    Some(Cell::$cell(value)) => Some(value.clone()),
                    _ => None,
                })
                .collect()
        };
    }
    match kind {
        Kind::Uuid => List::Uuids(of!(Uuid)),
        Kind::Text => List::Texts(of!(Text)),
        Kind::Time => List::Times(of!(Time)),
        Kind::Int => List::Ints(of!(Int)),
        Kind::Bytes => List::Bytes(of!(Bytes)),
        Kind::Json => List::Jsons(of!(Json)),
    }
}
