//! The database that is left: a SQLite file that is in use meanwhile.
//!
//! What changes while it is copied is noted by triggers in `copy_changes`, so that whoever copies reads the changed rows
//! again and no others. When everything is copied, other triggers refuse every write: also of a server that has not
//! looked, and of any other program.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::CopyError;
use super::cell::{Key, Record, keys};
use super::tables::{COPIED, Paging, Table};
use crate::driver::{Db, DbError, Tx, Value};
use crate::moves::{self, Move, State};
use crate::{records, statements};

/// How many changes, and how many rows of a table, are copied at a time.
pub(super) const BATCH: usize = 1000;

/// How often a write is tried while a server holds the lock, each time for three seconds.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

const MAKE_LOG: &str = "DROP TABLE IF EXISTS copy_changes;
    CREATE TABLE copy_changes (place INTEGER PRIMARY KEY, kind TEXT NOT NULL, key ANY NOT NULL) STRICT";
const DROP_LOG: &str = "DROP TABLE IF EXISTS copy_changes";
const CHANGES: &str =
    "SELECT place, kind, key FROM copy_changes WHERE place > $1 ORDER BY place LIMIT $2";
const FORGET: &str = "DELETE FROM copy_changes WHERE place <= $1";
const LOG: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'copy\\_%' ESCAPE '\\'";
const GO_ON: &str = "UPDATE moves SET state = 'copying', closed_until = NULL \
    WHERE holder = $1 AND state = 'closing'";
const LAST_SEQ: &str =
    "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'revocations'";
/// The server writes there too, but it is not copied.
const FREEZE_COPIES: &str = "CREATE TRIGGER IF NOT EXISTS moved_session_copies BEFORE UPDATE ON \
    session_copies BEGIN SELECT RAISE(ABORT, 'this database has moved'); END";
const THAW_COPIES: &str = "DROP TRIGGER IF EXISTS moved_session_copies";

/// A row that was written or removed since it was copied, perhaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) place: i64,
    /// In the table of tables.
    pub(super) table: usize,
    pub(super) key: Key,
}

/// The database that is left.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) db: &'a Db,
    pub(super) holder: Uuid,
}

impl Source<'_> {
    /// Has every change noted from now on.
    pub(super) async fn begin(&self, copy: Uuid, to: &str) -> Result<(), CopyError> {
        self.writing(async |tx| {
            unwatch(tx).await?;
            tx.script(MAKE_LOG).await?;
            for paging in paged() {
                tx.script(paging.watch).await?;
            }
            let values = vec![
                copy.into(),
                self.holder.into(),
                State::Copying.as_str().into(),
                to.into(),
            ];
            tx.run(statements::MOVE_BEGIN, values).await?;
            Ok(())
        })
        .await
    }

    /// Becomes the process that copies.
    pub(super) async fn take(&self) -> Result<Option<Move>, CopyError> {
        let holder = self.holder;
        self.writing(async |tx| {
            let rows = tx.run(statements::MOVE_TAKE, vec![holder.into()]).await?;
            records::first(&rows, moves::read)
        })
        .await
    }

    /// Whether changes have been noted all the time. A migration that makes a table anew loses its triggers.
    pub(super) async fn is_watched(&self, view: &mut Tx) -> Result<bool, CopyError> {
        let rows = view.run(LOG, vec![]).await.map_err(CopyError::source)?;
        let found = records::first(&rows, |row| row.columns().take::<i64>());
        let found = found.map_err(CopyError::source)?;
        Ok(found.and_then(|found| usize::try_from(found).ok()) == Some(3 * paged().count()))
    }

    /// A look at everything as it is now. The server goes on writing meanwhile.
    pub(super) async fn view(&self) -> Result<Tx, CopyError> {
        self.db.begin_snapshot().await.map_err(CopyError::source)
    }

    /// What has come to the log after a place, the oldest first.
    pub(super) async fn changes(
        &self,
        view: &mut Tx,
        after: i64,
    ) -> Result<Vec<Change>, CopyError> {
        let values = vec![after.into(), limit()];
        let rows = view.run(CHANGES, values).await.map_err(CopyError::source)?;
        let changes = records::all(&rows, |row| {
            let mut columns = row.columns();
            let place = columns.take()?;
            let kind: String = columns.take()?;
            let found = COPIED.iter().enumerate().find(|(_, t)| t.name == kind);
            let (number, table) =
                found.ok_or_else(|| DbError::Corrupt(format!("a change of `{kind}`")))?;
            Ok(Change {
                place,
                table: number,
                key: Key::take(table, &mut columns)?,
            })
        });
        changes.map_err(CopyError::source)
    }

    /// The rows of a table that have these keys; a key that is missing has no row.
    pub(super) async fn rows_of(
        &self,
        view: &mut Tx,
        table: &Table,
        paging: &Paging,
        list: &[Key],
    ) -> Result<Vec<Record>, CopyError> {
        let rows = view.run(paging.of_keys_sqlite, vec![keys(list)]).await;
        read(table, rows)
    }

    /// The next rows of a table.
    pub(super) async fn page(
        &self,
        view: &mut Tx,
        table: &Table,
        paging: &Paging,
        after: Option<Key>,
    ) -> Result<Vec<Record>, CopyError> {
        let rows = match after {
            None => view.run(paging.first, vec![limit()]).await,
            Some(key) => view.run(paging.after, vec![limit(), key.value()]).await,
        };
        read(table, rows)
    }

    /// All rows of a table that stays small.
    pub(super) async fn all(&self, view: &mut Tx, table: &Table) -> Result<Vec<Record>, CopyError> {
        let rows = view.run(table.all, vec![]).await;
        read(table, rows)
    }

    /// Forgets changes up to a place, which the target has.
    pub(super) async fn forget(&self, place: i64) -> Result<(), CopyError> {
        self.writing(async |tx| {
            tx.execute(FORGET, vec![place.into()]).await?;
            Ok(())
        })
        .await
    }

    /// Has servers stop to acknowledge anything until then, and instances with Redis write down what they hold.
    pub(super) async fn close(&self, until: Timestamp) -> Result<(), CopyError> {
        let holder = self.holder;
        let held = self.writing(async |tx| {
            tx.run(statements::COPY_EPOCH_LEAVE, vec![]).await?;
            move_on(tx, holder, State::Closing, Some(until)).await
        });
        match held.await? {
            true => Ok(()),
            false => Err(CopyError::Overtaken),
        }
    }

    /// Has servers acknowledge again, unless it has moved.
    pub(super) async fn go_on(&self) -> Result<(), CopyError> {
        let holder = self.holder;
        self.writing(async |tx| {
            tx.execute(GO_ON, vec![holder.into()]).await?;
            Ok(())
        })
        .await
    }

    /// Waits until no server writes, and keeps all from writing.
    pub(super) async fn lock(&self) -> Result<Tx, CopyError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.db.begin().await {
                Err(DbError::Unavailable(_) | DbError::Locked(_)) if tries < TRIES => {
                    tokio::time::sleep(PAUSE).await
                }
                begun => return begun.map_err(CopyError::source),
            }
        }
    }

    /// The last number that an announcement had.
    pub(super) async fn last_seq(&self, locked: &mut Tx) -> Result<i64, CopyError> {
        let rows = locked.run(LAST_SEQ, vec![]).await;
        let last = rows.and_then(|rows| records::first(&rows, |row| row.columns().take()));
        Ok(last.map_err(CopyError::source)?.unwrap_or_default())
    }

    /// Has every write refused from the commit on, for good.
    pub(super) async fn freeze(&self, mut locked: Tx) -> Result<(), CopyError> {
        let frozen = async {
            unwatch(&mut locked).await?;
            locked.script(DROP_LOG).await?;
            for table in &COPIED {
                locked.script(table.freeze).await?;
            }
            locked.script(FREEZE_COPIES).await?;
            match move_on(&mut locked, self.holder, State::Moved, None).await? {
                true => locked.commit().await.map(|()| true),
                false => locked.rollback().await.map(|()| false),
            }
        };
        match frozen.await.map_err(CopyError::source)? {
            true => Ok(()),
            false => Err(CopyError::Overtaken),
        }
    }

    /// Has writes taken again, and changes noted no more.
    pub(super) async fn reopen(&self) -> Result<(), CopyError> {
        let holder = self.holder;
        let held = self.writing(async |tx| {
            unwatch(tx).await?;
            tx.script(DROP_LOG).await?;
            for table in &COPIED {
                tx.script(table.thaw).await?;
            }
            tx.script(THAW_COPIES).await?;
            move_on(tx, holder, State::Reopened, None).await
        });
        match held.await? {
            true => Ok(()),
            false => Err(CopyError::Overtaken),
        }
    }

    /// A transaction, tried again while a server holds the lock.
    async fn writing<T>(
        &self,
        work: impl AsyncFn(&mut Tx) -> Result<T, DbError>,
    ) -> Result<T, CopyError> {
        let mut tx = self.lock().await?;
        match work(&mut tx).await {
            Ok(done) => tx.commit().await.map(|()| done),
            Err(error) => Err(error),
        }
        .map_err(CopyError::source)
    }
}

async fn move_on(
    tx: &mut Tx,
    holder: Uuid,
    state: State,
    until: Option<Timestamp>,
) -> Result<bool, DbError> {
    let values = vec![holder.into(), state.as_str().into(), until.into()];
    let rows = tx.run(statements::MOVE_ON, values).await?;
    Ok(!rows.is_empty())
}

async fn unwatch(tx: &mut Tx) -> Result<(), DbError> {
    for paging in paged() {
        tx.script(paging.unwatch).await?;
    }
    Ok(())
}

pub(super) fn paged() -> impl Iterator<Item = &'static Paging> {
    COPIED.iter().filter_map(|table| table.paging.as_ref())
}

fn read(
    table: &Table,
    rows: Result<Vec<crate::driver::Row>, DbError>,
) -> Result<Vec<Record>, CopyError> {
    let read = rows.and_then(|rows| records::all(&rows, |row| Record::read(table, row)));
    read.map_err(|error| CopyError::source(error).about(table))
}

pub(super) fn limit() -> Value {
    Value::Int(i64::try_from(BATCH).unwrap_or(i64::MAX))
}
