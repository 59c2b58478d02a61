//! The copy itself.

use std::time::Duration;

use tokio::time::Instant;

use super::cell::Key;
use super::plan::{Beginning, passes, schema_of};
use super::source::{BATCH, Change, Source};
use super::tables::{COPIED, Paging, Table};
use super::target::{Group, Progress, Sums, Target};
use super::{Copied, CopyError, Finish, Stage, StoreCopy, TableReport, TableSum, sum_of};
use crate::driver::Tx;
use crate::moves::State;

/// Within this time every server that lives has looked, and has written what it held back. Servers look twice a second.
const CLOSES_WITHIN: Duration = Duration::from_millis(1500);
/// A source that is closed by somebody who was killed is open again after this.
const CLOSED_FOR: Duration = Duration::from_secs(60);
/// How long to wait for more changes while it closes.
const PAUSE: Duration = Duration::from_millis(50);
/// A table that takes long is told of this often.
const TELL_EVERY: Duration = Duration::from_secs(5);

impl StoreCopy<'_> {
    /// Copies everything and moves the installation, or goes on where an earlier run stopped. When it returns `Ok`, the
    /// target may be served, and the source never acknowledges anything again. After an error the source is served on, or is
    /// again within a minute, and the same call goes on; unless the source had moved, which the same call then finishes.
    pub async fn run(&self, tell: &mut dyn FnMut(Stage)) -> Result<Copied, CopyError> {
        let beginning = self.beginning().await?;
        let schema = schema_of(&self.to.db);
        let fresh = Progress {
            schema,
            ..Progress::default()
        };
        let (source, target) = (self.source(), self.target());
        let progress = match beginning {
            Beginning::New => {
                source.begin(self.ids.copy, self.to_name).await?;
                let used = target.begin(self.ids.copy, self.from_name, &fresh).await?;
                if let Some(used) = used {
                    return Err(CopyError::Refused(format!(
                        "the target has come into use (`{used}` is not empty): name an empty database"
                    )));
                }
                tell(Stage::Begun);
                fresh
            }
            Beginning::Anew => {
                let noted = target.take().await?.ok_or(CopyError::Overtaken)?;
                source.begin(noted.copy, self.to_name).await?;
                target.clear(&fresh).await?;
                tell(Stage::BegunAnew);
                fresh
            }
            Beginning::Resume(progress) => {
                self.take().await?;
                // The run before may have been killed while it was closed.
                source.go_on().await?;
                tell(Stage::Resumed);
                progress
            }
            Beginning::Finish(progress) => {
                self.take().await?;
                target.stand(State::Complete, &progress).await?;
                return Ok(copied(progress, Finish::Finished));
            }
            Beginning::Already(progress) => return Ok(copied(progress, Finish::Already)),
        };
        let engine = Engine {
            source,
            target,
            progress,
            sums: None,
            tell,
        };
        engine.run(self).await
    }

    /// Becomes the run that copies, if both sides are still as they were looked at.
    async fn take(&self) -> Result<(), CopyError> {
        let source = self.source().take().await?;
        let target = self.target().take().await?;
        match (source, target) {
            (Some(source), Some(target)) if source.copy == target.copy => Ok(()),
            _ => Err(CopyError::Overtaken),
        }
    }
}

fn copied(progress: Progress, finish: Finish) -> Copied {
    Copied {
        tables: progress.report.unwrap_or_default(),
        finish,
    }
}

struct Engine<'a> {
    source: Source<'a>,
    target: Target<'a>,
    progress: Progress,
    /// Both sides' sums, once everything was compared.
    sums: Option<Sums>,
    tell: &'a mut dyn FnMut(Stage),
}

impl Engine<'_> {
    async fn run(mut self, copy: &StoreCopy<'_>) -> Result<Copied, CopyError> {
        while self.progress.passed < passes() {
            self.pass().await?;
        }
        // What has come meanwhile; so that little is left for the comparison to begin with.
        while self.follow().await? >= BATCH {}
        (self.tell)(Stage::Comparing);
        self.compare().await?;
        while self.follow().await? >= BATCH {}

        match self.close_and_finish(copy).await {
            Ok(finish) => Ok(copied(self.progress, finish)),
            Err(error) => {
                // What went wrong first counts; and it is open by itself in a minute.
                drop(self.source.go_on().await);
                Err(error)
            }
        }
    }

    /// Has nobody served for a moment, and moves.
    async fn close_and_finish(&mut self, copy: &StoreCopy<'_>) -> Result<Finish, CopyError> {
        (self.tell)(Stage::Closing);
        let closing = Instant::now();
        self.source.close((copy.now)() + CLOSED_FOR).await?;
        while closing.elapsed() < CLOSES_WITHIN {
            if self.follow().await? == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        while self.follow().await? >= BATCH {}
        let lock = self.source.lock().await?;
        (self.tell)(Stage::Locked);
        let locked = Instant::now();
        self.finish(lock).await?;
        Ok(Finish::Moved {
            closed: closing.elapsed(),
            locked: locked.elapsed(),
        })
    }

    /// Goes through the table whose turn it is.
    async fn pass(&mut self) -> Result<(), CopyError> {
        let number = self.progress.passed;
        let Some((table, paging)) = paged(number) else {
            self.progress.passed = passes();
            return Ok(());
        };
        let (mut rows, mut told) = (0, Instant::now());
        while self.progress.passed == number {
            rows += self.step(table, paging).await?;
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                let name = table.name;
                (self.tell)(Stage::Table { name, rows });
            }
        }
        let name = table.name;
        (self.tell)(Stage::Table { name, rows });
        Ok(())
    }

    /// Copies what has changed of what was copied, and, unless that is much, the next rows of a table, as they are at one
    /// moment. Answers how many rows of the table that were.
    async fn step(&mut self, table: &Table, paging: &Paging) -> Result<u64, CopyError> {
        let after = self.progress.after.as_deref();
        let after = after.and_then(|text| Key::parse(table, text));
        let mut view = self.source.view().await?;
        let changes = self.source.changes(&mut view, 0).await?;
        let mut groups = self.groups(&mut view, &changes, after).await?;
        let mut rows = 0;
        if changes.len() < BATCH {
            let page = self.source.page(&mut view, table, paging, after).await?;
            rows = page.len();
            if let Some(last) = page.last().and_then(|row| row.key()) {
                self.progress.after = Some(last.text());
            }
            if rows < BATCH {
                self.progress.passed += 1;
                self.progress.after = None;
            }
            if let Some(group) = groups.get_mut(place_of(table)) {
                group.present.extend(page);
            }
        }
        view.rollback().await.map_err(CopyError::source)?;
        self.apply(&groups, &changes).await?;
        Ok(rows as u64)
    }

    /// Copies what has changed, at most a batch of it. Answers how many changes that were.
    async fn follow(&mut self) -> Result<usize, CopyError> {
        let mut view = self.source.view().await?;
        let changes = self.source.changes(&mut view, 0).await?;
        let groups = self.groups(&mut view, &changes, None).await?;
        view.rollback().await.map_err(CopyError::source)?;
        self.apply(&groups, &changes).await?;
        Ok(changes.len())
    }

    /// Writes to the target, and has the source forget what is there.
    async fn apply(&mut self, groups: &[Group], changes: &[Change]) -> Result<(), CopyError> {
        if groups.iter().any(|group| !group.is_empty()) {
            let applied = self
                .target
                .apply(groups, &self.progress, self.sums.as_mut());
            applied.await?;
        }
        match changes.last() {
            Some(last) => self.source.forget(last.place).await,
            None => Ok(()),
        }
    }

    /// What the changes say now, for each table. A row that its table's turn comes to later is left to that; `after`: how far
    /// the table is whose turn it is.
    async fn groups(
        &self,
        view: &mut Tx,
        changes: &[Change],
        after: Option<Key>,
    ) -> Result<Vec<Group>, CopyError> {
        let mut groups: Vec<Group> = COPIED.iter().map(|_| Group::default()).collect();
        for (number, group) in groups.iter_mut().enumerate() {
            let Some((table, paging)) = paged(number) else {
                continue;
            };
            let come = |key: &Key| match number.cmp(&self.progress.passed) {
                std::cmp::Ordering::Less => true,
                std::cmp::Ordering::Equal => after.is_some_and(|after| *key <= after),
                std::cmp::Ordering::Greater => false,
            };
            let keys = changes.iter().filter(|change| change.table == number);
            let mut keys: Vec<Key> = keys.map(|change| change.key).filter(come).collect();
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() {
                continue;
            }
            group.present = self.source.rows_of(view, table, paging, &keys).await?;
            let present = group.present.iter().filter_map(|row| row.key());
            let present: std::collections::HashSet<Key> = present.collect();
            group.gone = keys
                .into_iter()
                .filter(|key| !present.contains(key))
                .collect();
        }
        Ok(groups)
    }

    /// Brings the target to one moment of the source and compares the two as they are read, while the source is served.
    async fn compare(&mut self) -> Result<(), CopyError> {
        let mut view = self.source.view().await?;
        let last = self.drain(&mut view).await?;
        let mut sums = Sums::default();
        for (number, sum) in sums.iter_mut().enumerate() {
            let Some((table, paging)) = paged(number) else {
                continue;
            };
            *sum = tokio::try_join!(
                source_sum(&self.source, &mut view, table, paging),
                target_sum(&self.target, table, paging)
            )?;
        }
        self.small(&mut view, &mut sums).await?;
        view.rollback().await.map_err(CopyError::source)?;
        self.insist(&sums).await?;
        self.source.forget(last).await?;
        self.sums = Some(sums);
        Ok(())
    }

    /// Copies all changes that a view of the source shows. Answers the place of the last.
    async fn drain(&mut self, view: &mut Tx) -> Result<i64, CopyError> {
        let mut last = 0;
        loop {
            let changes = self.source.changes(view, last).await?;
            let groups = self.groups(view, &changes, None).await?;
            if groups.iter().any(|group| !group.is_empty()) {
                let applied = self
                    .target
                    .apply(&groups, &self.progress, self.sums.as_mut());
                applied.await?;
            }
            last = changes.last().map_or(last, |change| change.place);
            if changes.len() < BATCH {
                return Ok(last);
            }
        }
    }

    /// Copies the tables that stay small.
    async fn small(&mut self, view: &mut Tx, sums: &mut Sums) -> Result<(), CopyError> {
        for (table, sum) in COPIED.iter().zip(sums) {
            if table.paging.is_none() {
                let rows = self.source.all(view, table).await?;
                let wanted = sum_of(table, &rows);
                let replaced = self.target.replace(table, &rows, wanted, &self.progress);
                *sum = (wanted, replaced.await?);
            }
        }
        Ok(())
    }

    /// Insists that both sides are the same. Where they are not, the next run begins anew.
    async fn insist(&mut self, sums: &Sums) -> Result<(), CopyError> {
        let differs = COPIED
            .iter()
            .zip(sums)
            .find(|(_, (source, target))| source != target);
        let Some((table, sums)) = differs else {
            return Ok(());
        };
        // No schema has this number.
        self.progress.schema = 0;
        self.target.stand(State::Filling, &self.progress).await?;
        Err(CopyError::differs(table, *sums))
    }

    /// What is left to do while nobody can write to the source.
    async fn finish(&mut self, mut locked: Tx) -> Result<(), CopyError> {
        if !self.source.is_watched(&mut locked).await? {
            return Err(CopyError::Unwatched);
        }
        self.drain(&mut locked).await?;
        let mut sums = self.sums.unwrap_or_default();
        self.small(&mut locked, &mut sums).await?;
        self.insist(&sums).await?;
        let last = self.source.last_seq(&mut locked).await?;
        self.target.number_after(last).await?;
        let report = COPIED.iter().zip(sums);
        let report = report.map(|(table, sums)| TableReport::of(table, sums));
        self.progress.report = Some(report.collect());
        // From here on the same command needs the source no more.
        self.target.stand(State::Ready, &self.progress).await?;
        self.source.freeze(locked).await?;
        self.target.stand(State::Complete, &self.progress).await
    }
}

/// A table of the table of tables that is read in parts.
fn paged(number: usize) -> Option<(&'static Table, &'static Paging)> {
    let table = COPIED.get(number)?;
    Some((table, table.paging.as_ref()?))
}

fn place_of(table: &Table) -> usize {
    let place = COPIED.iter().position(|one| one.name == table.name);
    place.unwrap_or_default()
}

async fn source_sum(
    source: &Source<'_>,
    view: &mut Tx,
    table: &Table,
    paging: &Paging,
) -> Result<TableSum, CopyError> {
    let (mut sum, mut after) = (TableSum::default(), None);
    loop {
        let rows = source.page(view, table, paging, after).await?;
        rows.iter().for_each(|row| sum.add(row.digest(table)));
        after = rows.last().and_then(|row| row.key());
        if rows.len() < BATCH {
            return Ok(sum);
        }
    }
}

async fn target_sum(
    target: &Target<'_>,
    table: &Table,
    paging: &Paging,
) -> Result<TableSum, CopyError> {
    let (mut sum, mut after) = (TableSum::default(), None);
    loop {
        let rows = target.page(table, paging, after).await?;
        rows.iter().for_each(|row| sum.add(row.digest(table)));
        after = rows.last().and_then(|row| row.key());
        if rows.len() < BATCH {
            return Ok(sum);
        }
    }
}
