use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::DbError;
use super::postgres_types::{PgJson, PgTime};

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Its columns, to be read from left to right.
    pub(crate) fn columns(&self) -> Columns<'_> {
        Columns { row: self, next: 0 }
    }
}

/// Reads a row from left to right.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl Columns<'_> {
    /// The next column, which must not be NULL.
    pub(crate) fn take<T: Field>(&mut self) -> Result<T, DbError> {
        let index = self.next;
        self.take_opt()?
            .ok_or_else(|| DbError::Corrupt(format!("column {index} is NULL")))
    }

    /// The next column, which may be NULL.
    pub(crate) fn take_opt<T: Field>(&mut self) -> Result<Option<T>, DbError> {
        let index = self.next;
        self.next += 1;
        T::field(self.row, index).map_err(|error| DbError::Corrupt(error.to_string()))
    }
}

/// A kind of value that a column can hold.
pub(crate) trait Field: Sized {
    fn field(row: &Row, index: usize) -> Result<Option<Self>, sqlx::Error>;
}

macro_rules! native {
    ($($type:ty),+) => {
        $(impl Field for $type {
            fn field(row: &Row, index: usize) -> Result<Option<Self>, sqlx::Error> {
                match row {
                    Row::Sqlite(row) => row.try_get(index),
                    Row::Postgres(row) => row.try_get(index),
                }
            }
        })+
    };
}

native!(Uuid, String, i64, Vec<u8>);

impl Field for Timestamp {
    fn field(row: &Row, index: usize) -> Result<Option<Self>, sqlx::Error> {
        match row {
            Row::Sqlite(row) => row
                .try_get::<Option<i64>, _>(index)?
                .map(Timestamp::from_microsecond)
                .transpose()
                .map_err(|error| sqlx::Error::Decode(error.into())),
            Row::Postgres(row) => Ok(row.try_get::<Option<PgTime>, _>(index)?.map(|time| time.0)),
        }
    }
}

/// A list of names, stored as JSON.
pub(crate) struct Names(pub(crate) Vec<String>);

impl Field for Names {
    fn field(row: &Row, index: usize) -> Result<Option<Self>, sqlx::Error> {
        Ok(json(row, index)?.map(Names))
    }
}

/// Any JSON.
pub(crate) struct Json(pub(crate) serde_json::Value);

impl Field for Json {
    fn field(row: &Row, index: usize) -> Result<Option<Self>, sqlx::Error> {
        Ok(json(row, index)?.map(Json))
    }
}

fn json<T: DeserializeOwned>(row: &Row, index: usize) -> Result<Option<T>, sqlx::Error> {
    let text = match row {
        Row::Sqlite(row) => row.try_get::<Option<String>, _>(index)?,
        Row::Postgres(row) => row.try_get::<Option<PgJson>, _>(index)?.map(|json| json.0),
    };
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| sqlx::Error::Decode(error.into()))
}
