//! Limits: read, decide, and change the tally only if it is still as it was read.

use async_trait::async_trait;
use countersign_domain::limits::{Return, Rule, Taken, Tally};
use countersign_store::{LimitKey, Limits, StoreError};
use jiff::Timestamp;

use crate::driver::{Db, DbError, Value, micros};
use crate::{SqlStore, records, statements};

/// A lost swap means that another one won. Under a limit as strict as a sign-in's the places are soon gone, and then
/// nothing is swapped any more; a loser of so many would do better to count elsewhere.
const TRIES: u32 = 64;

#[async_trait]
impl Limits for SqlStore {
    async fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Result<Taken, StoreError> {
        let rule = *rule;
        self.detached("take_limit", move |db| async move {
            take(&db, key, rule, now).await
        })
        .await
    }

    async fn give_back(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let rule = *rule;
        self.detached("give_back_limit", move |db| async move {
            for _ in 0..TRIES {
                let Some(tally) = read(&db, key).await? else {
                    return Ok(());
                };
                let next = rule.give_back(tally, micros(taken_until), why, micros(now));
                if next == Some(tally) || swap(&db, key, Some(tally), next).await? {
                    return Ok(());
                }
            }
            Err(contended())
        })
        .await
    }

    async fn remove_lapsed_limits(&self, most: u32, now: Timestamp) -> Result<u32, StoreError> {
        let values = vec![now.into(), i64::from(most).into()];
        let removed = self
            .write(
                "remove_lapsed_limits",
                statements::LIMITS_REMOVE_LAPSED,
                values,
            )
            .await?;
        Ok(u32::try_from(removed.len()).unwrap_or(u32::MAX))
    }
}

async fn take(db: &Db, key: LimitKey, rule: Rule, now: Timestamp) -> Result<Taken, StoreError> {
    for _ in 0..TRIES {
        let present = read(db, key).await?;
        let settled = present.map(|tally| rule.settle(tally, micros(now)));
        if settled != present {
            swap(db, key, present, settled).await?;
            continue;
        }
        let (tally, remaining) = match rule.take(present, micros(now)) {
            Taken::Admitted { tally, remaining } => (tally, remaining),
            refused @ Taken::Refused { .. } => return Ok(refused),
        };
        // What is answered must equal what is stored, or it could not be given back.
        let tally = Tally {
            until: micros(tally.until),
            lapses_at: micros(tally.lapses_at),
            ..tally
        };
        if swap(db, key, present, Some(tally)).await? {
            return Ok(Taken::Admitted { tally, remaining });
        }
    }
    Err(contended())
}

async fn read(db: &Db, key: LimitKey) -> Result<Option<Tally>, DbError> {
    let rows = db.read(statements::LIMIT, vec![key.0.as_slice().into()]);
    records::first(&rows.await?, |row| {
        let mut columns = row.columns();
        let count: i64 = columns.take()?;
        Ok(Tally {
            count: u32::try_from(count)
                .map_err(|_| DbError::Corrupt(format!("a limit's count is {count}")))?,
            until: columns.take()?,
            lapses_at: columns.take()?,
        })
    })
}

/// Whether it happened: nobody else has changed the tally meanwhile.
async fn swap(
    db: &Db,
    key: LimitKey,
    from: Option<Tally>,
    to: Option<Tally>,
) -> Result<bool, DbError> {
    let mut values: Vec<Value> = vec![key.0.as_slice().into()];
    for tally in [from, to].into_iter().flatten() {
        values.extend([
            i64::from(tally.count).into(),
            tally.until.into(),
            tally.lapses_at.into(),
        ]);
    }
    let statement = match (from, to) {
        (None, None) => return Ok(true),
        (None, Some(_)) => statements::LIMIT_BEGIN,
        (Some(_), Some(_)) => statements::LIMIT_CHANGE,
        (Some(_), None) => statements::LIMIT_END,
    };
    Ok(!db.write(statement, values).await?.is_empty())
}

fn contended() -> StoreError {
    StoreError::Unavailable(format!(
        "a limit changed {TRIES} times while it was counted"
    ))
}
