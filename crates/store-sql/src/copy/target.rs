//! The database that is moved to: a PostgreSQL that nobody serves yet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cell::{Key, Record, keys, lists};
use super::source::limit;
use super::sum::TableSum;
use super::tables::{COPIED, Paging, Table};
use super::{CopyError, TableReport};
use crate::driver::{Db, DbError, Row, Tx};
use crate::moves::{self, Move, State};
use crate::{records, statements};

/// Nobody else begins to use it in the same moment.
const LOCK: &str = "LOCK TABLE installation IN SHARE ROW EXCLUSIVE MODE";
const CLEAR: &str = "TRUNCATE users, sessions, revocations, audit_events, audit_marks, \
    signing_keys, service_keys, installation";
/// What two users have exchanged meanwhile is free for a moment; whoever had it is written again.
const VACATE_EMAILS: &str = "UPDATE users SET email_key = 'moving ' || users.id \
    FROM unnest($1::text[], $2::uuid[]) AS new (email_key, id) \
    WHERE users.email_key = new.email_key AND users.id <> new.id";
const SET_SEQ: &str = "SELECT setval(pg_get_serial_sequence('revocations', 'seq'), $1)";
const EVENTS: &str = "SELECT count(*) FROM audit_events";

/// How far the target is filled, as it is kept there with the rows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The schema that the rows are of.
    pub(super) schema: i64,
    /// How many tables of the table of tables were gone through.
    pub(super) passed: usize,
    /// The last key of the one after those.
    pub(super) after: Option<String>,
    /// What was found at the end.
    pub(super) report: Option<Vec<TableReport>>,
}

/// What one view of the source brings for a table.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) present: Vec<Record>,
    pub(super) gone: Vec<Key>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.present.is_empty() && self.gone.is_empty()
    }

    fn keys(&self) -> Vec<Key> {
        let present = self.present.iter().filter_map(Record::key);
        present.chain(self.gone.iter().copied()).collect()
    }
}

/// Both sides' sums.
pub(super) type Sums = [(TableSum, TableSum); COPIED.len()];

/// The database that is moved to.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) db: &'a Db,
    pub(super) holder: Uuid,
}

impl Target<'_> {
    /// Takes an empty database, or `None`: the name of a table that has rows.
    pub(super) async fn begin(
        &self,
        copy: Uuid,
        from: &str,
        progress: &Progress,
    ) -> Result<Option<&'static str>, CopyError> {
        self.writing(async |tx| {
            tx.script(LOCK).await?;
            if let Some(used) = used(tx).await? {
                return Ok(Some(used));
            }
            let values = vec![
                copy.into(),
                self.holder.into(),
                State::Filling.as_str().into(),
                from.into(),
            ];
            tx.run(statements::MOVE_BEGIN, values).await?;
            self.note(tx, State::Filling, progress).await?;
            Ok(None)
        })
        .await
    }

    /// The table that shows that it is in use.
    pub(super) async fn used(&self) -> Result<Option<&'static str>, CopyError> {
        let mut view = self.view().await?;
        let used = used(&mut view).await.map_err(CopyError::target)?;
        view.rollback().await.map_err(CopyError::target)?;
        Ok(used)
    }

    pub(super) async fn take(&self) -> Result<Option<Move>, CopyError> {
        self.writing(async |tx| {
            let values = vec![self.holder.into()];
            let rows = tx.run(statements::MOVE_TAKE, values).await?;
            Ok(records::first(&rows, moves::read)?)
        })
        .await
    }

    /// Empties it, to begin anew.
    pub(super) async fn clear(&self, progress: &Progress) -> Result<(), CopyError> {
        // It may wait for a server that was started on it.
        let begun = self.db.begin_migration().await;
        let mut tx = begun.map_err(CopyError::target)?;
        let cleared = async {
            tx.script(CLEAR).await?;
            self.note(&mut tx, State::Filling, progress).await?;
            Ok::<_, Stop>(tx.commit().await?)
        };
        Ok(cleared.await?)
    }

    /// Writes and removes rows, and notes how far that is, all at once. Keeps the sums up by what was there before and
    /// what is read back.
    pub(super) async fn apply(
        &self,
        groups: &[Group],
        progress: &Progress,
        sums: Option<&mut Sums>,
    ) -> Result<(), CopyError> {
        let (before, after) = self
            .writing(async |tx| {
                let watch = sums.is_some();
                let before = watched(tx, groups, watch).await?;
                for (table, group) in COPIED.iter().zip(groups) {
                    write(tx, table, &group.present).await?;
                }
                for (table, group) in COPIED.iter().zip(groups).rev() {
                    if let (Some(paging), false) = (&table.paging, group.gone.is_empty()) {
                        tx.execute(paging.delete, vec![keys(&group.gone)]).await?;
                    }
                }
                let after = watched(tx, groups, watch).await?;
                self.note(tx, State::Filling, progress).await?;
                Ok((before, after))
            })
            .await?;
        for (place, (source, target)) in sums.into_iter().flatten().enumerate() {
            let rows = |all: &[Vec<Record>]| all.get(place).cloned().unwrap_or_default();
            let (Some(table), Some(group)) = (COPIED.get(place), groups.get(place)) else {
                continue;
            };
            for row in rows(&before) {
                // Both sides had it: that is what was verified.
                source.remove(row.digest(table));
                target.remove(row.digest(table));
            }
            group
                .present
                .iter()
                .for_each(|row| source.add(row.digest(table)));
            rows(&after)
                .iter()
                .for_each(|row| target.add(row.digest(table)));
        }
        Ok(())
    }

    /// Makes a table that stays small the same as these rows, and answers the sum of what is read back.
    pub(super) async fn replace(
        &self,
        table: &Table,
        rows: &[Record],
        wanted: TableSum,
        progress: &Progress,
    ) -> Result<TableSum, CopyError> {
        let found = self.sum_of_all(table).await?;
        if found == wanted {
            return Ok(found);
        }
        self.writing(async |tx| {
            tx.execute(table.clear, vec![]).await?;
            write(tx, table, rows).await?;
            self.note(tx, State::Filling, progress).await
        })
        .await?;
        self.sum_of_all(table).await
    }

    async fn sum_of_all(&self, table: &Table) -> Result<TableSum, CopyError> {
        let rows = self.db.read(table.all, vec![]).await;
        let rows = rows.and_then(|rows| records::all(&rows, |row| Record::read(table, row)));
        let rows = rows.map_err(|error| CopyError::target(error).about(table))?;
        Ok(super::sum_of(table, &rows))
    }

    /// The next rows of a table.
    pub(super) async fn page(
        &self,
        table: &Table,
        paging: &Paging,
        after: Option<Key>,
    ) -> Result<Vec<Record>, CopyError> {
        let rows = match after {
            None => self.db.read(paging.first, vec![limit()]).await,
            Some(key) => self.db.read(paging.after, vec![limit(), key.value()]).await,
        };
        let rows = rows.and_then(|rows| records::all(&rows, |row| Record::read(table, row)));
        rows.map_err(|error| CopyError::target(error).about(table))
    }

    /// Has announcements numbered after this.
    pub(super) async fn number_after(&self, last: i64) -> Result<(), CopyError> {
        if last > 0 {
            let set = self.db.write(SET_SEQ, vec![last.into()]).await;
            set.map_err(CopyError::target)?;
        }
        Ok(())
    }

    /// Notes where it stands.
    pub(super) async fn stand(&self, state: State, progress: &Progress) -> Result<(), CopyError> {
        self.writing(async |tx| self.note(tx, state, progress).await)
            .await
    }

    /// How many events the audit log holds.
    pub(super) async fn events(&self) -> Result<i64, CopyError> {
        count(self.db, EVENTS).await.map_err(CopyError::target)
    }

    async fn note(&self, tx: &mut Tx, state: State, progress: &Progress) -> Result<(), Stop> {
        let text =
            serde_json::to_string(progress).map_err(|error| DbError::Corrupt(error.to_string()))?;
        let values = vec![
            self.holder.into(),
            state.as_str().into(),
            text.as_str().into(),
        ];
        let rows = tx.run(statements::MOVE_PROGRESS, values).await?;
        match rows.is_empty() {
            true => Err(Stop::Overtaken),
            false => Ok(()),
        }
    }

    async fn view(&self) -> Result<Tx, CopyError> {
        self.db.begin_snapshot().await.map_err(CopyError::target)
    }

    async fn writing<T>(
        &self,
        work: impl AsyncFn(&mut Tx) -> Result<T, Stop>,
    ) -> Result<T, CopyError> {
        let mut tx = self.db.begin().await.map_err(CopyError::target)?;
        match work(&mut tx).await {
            Ok(done) => tx.commit().await.map(|()| done).map_err(CopyError::target),
            Err(stop) => {
                // What went wrong first counts.
                drop(tx.rollback().await);
                Err(stop.into())
            }
        }
    }
}

/// Why a transaction is undone.
enum Stop {
    /// Another process copies.
    Overtaken,
    Db(DbError),
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<Stop> for CopyError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Overtaken => Self::Overtaken,
            Stop::Db(error) => Self::target(error),
        }
    }
}

async fn used(tx: &mut Tx) -> Result<Option<&'static str>, DbError> {
    for table in &COPIED {
        let rows = match &table.paging {
            Some(paging) => tx.run(paging.first, vec![1.into()]).await?,
            None => tx.run(table.all, vec![]).await?,
        };
        if !rows.is_empty() {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}

/// What is there of the rows that are about to change, or have.
async fn watched(tx: &mut Tx, groups: &[Group], watch: bool) -> Result<Vec<Vec<Record>>, DbError> {
    let mut all = Vec::new();
    for (table, group) in COPIED.iter().zip(groups) {
        let rows = match &table.paging {
            Some(paging) if watch && !group.is_empty() => {
                let values = vec![keys(&group.keys())];
                tx.run(paging.of_keys_postgres, values).await?
            }
            _ => Vec::new(),
        };
        all.push(records::all(&rows, |row: &Row| Record::read(table, row))?);
    }
    Ok(all)
}

async fn write(tx: &mut Tx, table: &Table, rows: &[Record]) -> Result<(), DbError> {
    if rows.is_empty() {
        return Ok(());
    }
    let values = lists(table, rows);
    if table.name == "users"
        && let [id, _, email_key, ..] = &*values
    {
        let values = vec![email_key.clone(), id.clone()];
        tx.execute(VACATE_EMAILS, values).await?;
    }
    tx.execute(table.insert, values).await?;
    Ok(())
}

pub(super) async fn count(db: &Db, sql: &'static str) -> Result<i64, DbError> {
    let rows = db.read(sql, vec![]).await?;
    let count = records::first(&rows, |row| row.columns().take())?;
    Ok(count.unwrap_or_default())
}
