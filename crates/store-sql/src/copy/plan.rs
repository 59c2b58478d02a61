//! What is to be done, or why nothing may be.

use super::source::{Source, paged};
use super::tables::{COPIED, LEFT};
use super::target::{Progress, count};
use super::{CopyError, StoreCopy};
use crate::driver::Db;
use crate::moves::{self, Move, State};
use crate::{SchemaState, SqlStore};

/// A table, in a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTable {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has in the source at this moment; `None`: it is not copied.
    pub rows: Option<i64>,
    /// Why it is not copied.
    pub left_because: Option<&'static str>,
}

/// What a copy would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// In words, for an operator; `Err`: why it would be refused.
    pub begins: Result<&'static str, String>,
    /// Every table.
    pub tables: Vec<PlannedTable>,
}

/// How a copy begins.
#[derive(Clone, Debug)]
pub(super) enum Beginning {
    /// On an empty target.
    New,
    /// Where another run stopped.
    Resume(Progress),
    /// With a target that holds a part of this copy which is of no use.
    Anew,
    /// Only the target has to be told.
    Finish(Progress),
    /// It is complete.
    Already(Progress),
}

impl Beginning {
    fn in_words(&self) -> &'static str {
        match self {
            Self::New => "begins on an empty target",
            Self::Resume(_) => "goes on where an earlier run stopped",
            Self::Anew => "empties the target, which holds a part of this copy, and begins anew",
            Self::Finish(_) => "finishes: everything has been copied",
            Self::Already(_) => "has nothing to do: the copy is complete",
        }
    }
}

impl StoreCopy<'_> {
    /// What [`StoreCopy::run`] would do. Changes nothing.
    pub async fn plan(&self) -> Result<CopyPlan, CopyError> {
        let begins = match self.beginning().await {
            Ok(beginning) => Ok(beginning.in_words()),
            Err(CopyError::Refused(why)) => Err(why),
            Err(error) => return Err(error),
        };
        let mut tables = Vec::new();
        // What cannot be counted is why it is refused.
        let countable = self.from.schema().await? == SchemaState::Current;
        for table in &COPIED {
            let rows = match countable {
                true => Some(
                    count(&self.from.db, table.count)
                        .await
                        .map_err(CopyError::source)?,
                ),
                false => None,
            };
            tables.push(PlannedTable {
                name: table.name,
                rows,
                left_because: None,
            });
        }
        tables.extend(LEFT.iter().map(|left| PlannedTable {
            name: left.name,
            rows: None,
            left_because: Some(left.why),
        }));
        Ok(CopyPlan { begins, tables })
    }

    /// Looks at both sides. Changes nothing.
    pub(super) async fn beginning(&self) -> Result<Beginning, CopyError> {
        kinds(self.from, self.to)?;
        current("source", self.from).await?;
        current("target", self.to).await?;
        let source = moves::noted(&self.from.db).await;
        let source = source.map_err(CopyError::source)?;
        let target = moves::noted(&self.to.db).await;
        let target = target.map_err(CopyError::target)?;
        match (source, target) {
            (source, Some(target)) if is_same(source.as_ref(), &target) => {
                self.of_same(source.map(|one| one.state), &target).await
            }
            (
                _,
                Some(Move {
                    state: State::Filling | State::Ready,
                    other,
                    ..
                }),
            ) => Err(refused(format!(
                "the target holds an unfinished copy of another installation, from `{other}`: name an empty database"
            ))),
            (
                Some(Move {
                    state: State::Moved,
                    other,
                    ..
                }),
                _,
            ) => Err(refused(format!(
                "the source has moved to `{other}` already: `countersign store reopen` takes that back"
            ))),
            _ => match self.target().used().await? {
                Some(used) => Err(refused(format!(
                    "the target is an installation already (`{used}` is not empty): name an empty database"
                ))),
                None => Ok(Beginning::New),
            },
        }
    }

    /// Both sides know this copy.
    async fn of_same(&self, source: Option<State>, target: &Move) -> Result<Beginning, CopyError> {
        let progress = target.progress.as_deref();
        let progress = progress.and_then(|text| serde_json::from_str::<Progress>(text).ok());
        match (source, target.state, progress) {
            (Some(State::Moved), State::Ready, Some(progress)) => Ok(Beginning::Finish(progress)),
            (Some(State::Moved), State::Complete, Some(progress)) => Ok(Beginning::Already(progress)),
            (Some(State::Moved), ..) => Err(refused(
                "the source has moved, and the target was given up since: run `countersign store reopen` to its end".to_owned(),
            )),
            (Some(State::Copying | State::Closing), State::Filling | State::Ready, Some(progress))
                if progress.schema == schema_of(&self.to.db) && self.is_watched().await? =>
            {
                Ok(Beginning::Resume(progress))
            }
            (_, State::Filling | State::Ready, _) => Ok(Beginning::Anew),
            _ => Err(refused(
                "the target is in use since this copy was complete: name an empty database".to_owned(),
            )),
        }
    }

    async fn is_watched(&self) -> Result<bool, CopyError> {
        let source: Source<'_> = self.source();
        let mut view = source.view().await?;
        let watched = source.is_watched(&mut view).await?;
        view.rollback().await.map_err(CopyError::source)?;
        Ok(watched)
    }
}

fn is_same(source: Option<&Move>, target: &Move) -> bool {
    source.is_some_and(|source| source.copy == target.copy)
}

fn kinds(from: &SqlStore, to: &SqlStore) -> Result<(), CopyError> {
    let why = match (&*from.db, &*to.db) {
        (Db::Sqlite(_), Db::Postgres(_)) => return Ok(()),
        (Db::Postgres(_), _) => {
            "the source is PostgreSQL, and only SQLite can be moved: for another PostgreSQL use `pg_dump` and `pg_restore`"
        }
        (Db::Sqlite(_), Db::Sqlite(_)) => {
            "the target is SQLite, and only PostgreSQL can be moved to: a SQLite file can be backed up to another place"
        }
    };
    Err(refused(why.to_owned()))
}

async fn current(side: &str, store: &SqlStore) -> Result<(), CopyError> {
    match store.schema().await? {
        SchemaState::Current => Ok(()),
        SchemaState::Behind { .. } => Err(refused(format!(
            "the schema of the {side} is not that of this version: run `countersign migrate` with its `DATABASE_URL`"
        ))),
        SchemaState::Ahead { database, binary } => Err(refused(format!(
            "the {side} has schema {database}, and this version knows {binary}: use the `countersign` that migrated it"
        ))),
    }
}

/// The number of the schema that rows are of.
pub(super) fn schema_of(db: &Db) -> i64 {
    let last = db.migrations().last();
    last.map_or(0, |migration| migration.number)
}

/// How many tables are gone through in parts.
pub(super) fn passes() -> usize {
    paged().count()
}

fn refused(why: String) -> CopyError {
    CopyError::Refused(why)
}
