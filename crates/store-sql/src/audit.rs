use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use countersign_domain::audit::{AddressTag, Draft, Ink, Mark, MarkKind, Row, Salt, Sealed};
use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::{Audit, Chain, EventQuery, Link, StoreError, StoredEvent};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::driver::{self, Columns, Db, DbError, Tx, Value, Verdict};
use crate::users::{FORGOTTEN_AT_ONCE, forgotten};
use crate::{SqlStore, records, statements};

/// Where the head and the cut are kept.
const ENDS_SLOT: i64 = 0;

#[async_trait]
impl Audit for SqlStore {
    async fn append_events(&self, drafts: &[Draft], ink: &Arc<Ink>) -> Result<(), StoreError> {
        let (mut drafts, ink) = (drafts.to_vec(), Arc::clone(ink));
        // In one order, so that two who write the same events do not wait for each other in a circle.
        drafts.sort_by_key(|draft| draft.id);
        self.detached("append_events", |db| async move {
            let mut tx = db.begin().await?;
            let salts = salts(&db, &mut tx, &drafts).await?;
            let salt = |user: UserId| salts.get(&user);
            let rows = drafts.iter().map(|d| ink.write(d, d.user.and_then(salt)));
            append(&mut tx, &rows.collect::<Vec<_>>()).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        let rows = self
            .read("event", statements::EVENT, vec![id.0.into()])
            .await?;
        Ok(records::first(&rows, stored)?)
    }

    async fn events(
        &self,
        query: &EventQuery,
        before: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let (statement, values) = list(query, before, limit);
        let rows = self.read("events", statement, values).await?;
        Ok(records::all(&rows, stored)?)
    }

    async fn forget_addresses(&self, user: UserId) -> Result<bool, StoreError> {
        let values = forgotten(user);
        let rows = self
            .write(
                "forget_addresses",
                statements::EVENTS_FORGET_ADDRESSES,
                values,
            )
            .await?;
        Ok(rows.len() >= FORGOTTEN_AT_ONCE as usize)
    }

    async fn unsealed_events(
        &self,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let values = vec![after.into(), records::limit(limit)];
        let rows = self
            .read("unsealed_events", statements::EVENTS_UNSEALED, values)
            .await?;
        Ok(records::all(&rows, |row| event(&mut row.columns()))?)
    }

    async fn chain(&self) -> Result<Chain, StoreError> {
        let rows = self.read("chain", statements::MARKS_ENDS, vec![]).await?;
        let marks = records::all(&rows, mark)?;
        let find = |kind| marks.iter().find(|mark| mark.kind == kind).cloned();
        Ok(Chain {
            head: find(MarkKind::Head),
            cut: find(MarkKind::Cut),
        })
    }

    async fn seal_events(
        &self,
        after: Option<&Mark>,
        links: &[Link],
        head: &Mark,
        checkpoint: Option<&Mark>,
    ) -> Result<bool, StoreError> {
        let (after, head) = (after.cloned(), head.clone());
        let (links, checkpoint) = (links.to_vec(), checkpoint.cloned());
        self.detached("seal_events", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = seal_in(&mut tx, after.as_ref(), &links, &head, checkpoint.as_ref());
            let verdict = verdict.await?;
            Ok(tx.settle(verdict).await?)
        })
        .await
    }

    async fn sealed_events(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(Sealed, Option<Salt>)>, StoreError> {
        let values = vec![place(after), records::limit(limit)];
        let rows = self
            .read("sealed_events", statements::EVENTS_SEALED, values)
            .await?;
        Ok(records::all(&rows, |row| {
            let mut columns = row.columns();
            let row = event(&mut columns)?;
            let sealed = Sealed {
                row,
                position: position(columns.take()?)?,
                hash: bytes(columns.take()?),
            };
            Ok((sealed, columns.take_opt()?.map(bytes).map(Salt)))
        })?)
    }

    async fn stray_event(&self, through: u64) -> Result<Option<EventId>, StoreError> {
        let rows = self
            .read("stray_event", statements::EVENT_STRAY, vec![place(through)])
            .await?;
        Ok(records::first(&rows, |row| {
            row.columns().take().map(EventId)
        })?)
    }

    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<Mark>, StoreError> {
        let values = vec![place(after), records::limit(limit)];
        let rows = self
            .read("checkpoints", statements::CHECKPOINTS, values)
            .await?;
        Ok(records::all(&rows, mark)?)
    }

    async fn cut_events(&self, after: Option<&Mark>, cut: &Mark) -> Result<bool, StoreError> {
        let (after, cut) = (after.cloned(), cut.clone());
        self.detached("cut_events", |db| async move {
            let mut tx = db.begin().await?;
            let verdict = match move_end(&mut tx, after.as_ref(), &cut).await? {
                false => Verdict::Undo(false),
                true => {
                    let through = || vec![place(cut.position)];
                    tx.run(statements::EVENTS_CUT, through()).await?;
                    tx.run(statements::CHECKPOINTS_CUT, through()).await?;
                    Verdict::Commit(true)
                }
            };
            Ok(tx.settle(verdict).await?)
        })
        .await
    }
}

/// Writes events in the transaction of what they tell of.
pub(crate) async fn append(tx: &mut Tx, rows: &[Row]) -> Result<(), DbError> {
    let list = rows.iter().map(EventLine::of);
    let values = vec![json_list(list)?];
    tx.execute(tx.dialect().append_events, values).await?;
    Ok(())
}

/// The salts of the users that events are about. Read in the transaction that writes them: a user
/// who is erased meanwhile either waits for it, or is gone already.
async fn salts(db: &Db, tx: &mut Tx, drafts: &[Draft]) -> Result<HashMap<UserId, Salt>, DbError> {
    let users: HashSet<_> = drafts.iter().filter_map(|draft| draft.user).collect();
    // Asked also where there is nobody to ask about: who was signed in to must not show in the work.
    let values = vec![json_list(users.iter().map(|id| Hex(id.0.as_bytes())))?];
    let rows = tx.run(db.dialect().audit_salts, values).await?;
    let pairs = records::all(&rows, |row| {
        let mut columns = row.columns();
        Ok((UserId(columns.take()?), Salt(bytes(columns.take()?))))
    });
    Ok(pairs?.into_iter().collect())
}

async fn seal_in(
    tx: &mut Tx,
    after: Option<&Mark>,
    links: &[Link],
    head: &Mark,
    checkpoint: Option<&Mark>,
) -> Result<Verdict<bool>, DbError> {
    if !move_end(tx, after, head).await? {
        return Ok(Verdict::Undo(false));
    }
    let list = links.iter().map(|link| LinkLine {
        id: Hex(link.id.0.as_bytes()),
        position: link.position,
        hash: Hex(&link.hash),
    });
    let values = vec![json_list(list)?];
    let sealed = tx.execute(tx.dialect().seal_events, values).await?;
    if usize::try_from(sealed) != Ok(links.len()) {
        return Ok(Verdict::Undo(false));
    }
    if let Some(checkpoint) = checkpoint {
        let slot = place(checkpoint.position);
        tx.run(statements::MARK_ADD, added(checkpoint, slot))
            .await?;
    }
    Ok(Verdict::Commit(true))
}

/// Moves the head or the cut on, if it is still where it was.
async fn move_end(tx: &mut Tx, from: Option<&Mark>, to: &Mark) -> Result<bool, DbError> {
    let rows = match from {
        None => {
            let values = added(to, ENDS_SLOT.into());
            tx.run(statements::MARK_ADD, values).await?
        }
        Some(from) => {
            let values = vec![
                to.kind.as_str().into(),
                place(to.position),
                to.hash.as_slice().into(),
                to.at.into(),
                to.signature.as_slice().into(),
                place(from.position),
                from.hash.as_slice().into(),
            ];
            tx.run(statements::MARK_MOVE, values).await?
        }
    };
    Ok(!rows.is_empty())
}

fn added(mark: &Mark, slot: Value) -> Vec<Value> {
    vec![
        mark.kind.as_str().into(),
        slot,
        place(mark.position),
        mark.hash.as_slice().into(),
        mark.at.into(),
        mark.signature.as_slice().into(),
    ]
}

/// The statement that lists what is asked for by the index that fits best, and its values.
fn list(
    query: &EventQuery,
    before: Option<(Timestamp, EventId)>,
    limit: u32,
) -> (&'static str, Vec<Value>) {
    let (at, id) = before.map_or((Timestamp::MAX, Uuid::max()), |(at, id)| (at, id.0));
    let user: Value = query.user.map(|id| id.0).into();
    let session: Value = query.session.map(|id| id.0).into();
    let kind: Value = query.kind.map(|kind| kind.as_str()).into();
    let address = Value::OptBytes(query.address.map(|tag| tag.0.to_vec()));
    let mut values = vec![
        user.clone(),
        session.clone(),
        kind.clone(),
        address.clone(),
        query.from.unwrap_or(Timestamp::UNIX_EPOCH).into(),
        query.to.unwrap_or(FAR).into(),
        at.min(FAR).into(),
        id.into(),
        records::limit(limit),
    ];
    let (statement, about) = match query {
        EventQuery {
            session: Some(_), ..
        } => (statements::EVENTS_OF_SESSION, session),
        EventQuery { user: Some(_), .. } => (statements::EVENTS_OF_USER, user),
        EventQuery {
            address: Some(_), ..
        } => (statements::EVENTS_FROM_ADDRESS, address),
        EventQuery { kind: Some(_), .. } => (statements::EVENTS_OF_KIND, kind),
        _ => return (statements::EVENTS, values),
    };
    values.push(about);
    (statement, values)
}

fn stored(row: &driver::Row) -> Result<StoredEvent, DbError> {
    let mut columns = row.columns();
    let row = event(&mut columns)?;
    let place = columns.take_opt()?.map(position).transpose()?;
    let salt = columns.take_opt()?.map(bytes).map(Salt);
    Ok(StoredEvent {
        row,
        position: place,
        salt,
    })
}

fn event(columns: &mut Columns<'_>) -> Result<Row, DbError> {
    Ok(Row {
        id: EventId(columns.take()?),
        at: columns.take()?,
        kind: columns.take()?,
        outcome: columns.take()?,
        reason: columns.take_opt()?,
        by: columns.take()?,
        user: columns.take_opt()?.map(UserId),
        session: columns.take_opt()?.map(SessionId),
        details: columns.take()?,
        personal: columns.take()?,
        address: columns.take_opt()?.map(bytes).map(AddressTag),
        mac: bytes(columns.take()?),
    })
}

fn mark(row: &driver::Row) -> Result<Mark, DbError> {
    let mut columns = row.columns();
    let kind: String = columns.take()?;
    Ok(Mark {
        kind: match kind.as_str() {
            "head" => MarkKind::Head,
            "cut" => MarkKind::Cut,
            _ => MarkKind::Checkpoint,
        },
        position: position(columns.take()?)?,
        hash: bytes(columns.take()?),
        at: columns.take()?,
        signature: columns.take()?,
    })
}

/// Somebody who changes the table may put anything there; what does not fit is all zeros, and is found as changed.
fn bytes<const N: usize>(stored: Vec<u8>) -> [u8; N] {
    stored.try_into().unwrap_or([0; N])
}

fn position(stored: i64) -> Result<u64, DbError> {
    u64::try_from(stored).map_err(|_| DbError::Corrupt(format!("position {stored}")))
}

fn place(position: u64) -> Value {
    Value::Int(i64::try_from(position).unwrap_or(i64::MAX))
}

/// An event as the statement that adds many reads it. There are thousands a second where refreshes are audited,
/// so nothing is copied first.
#[derive(Serialize)]
struct EventLine<'a> {
    id: Hex<'a>,
    at: i64,
    kind: &'a str,
    outcome: &'a str,
    reason: Option<&'a str>,
    by: &'a str,
    user: Option<Hex<'a>>,
    session: Option<Hex<'a>>,
    details: &'a str,
    personal: Hex<'a>,
    address: Option<Hex<'a>>,
    mac: Hex<'a>,
}

impl<'a> EventLine<'a> {
    fn of(row: &'a Row) -> Self {
        Self {
            id: Hex(row.id.0.as_bytes()),
            at: row.at.as_microsecond(),
            kind: &row.kind,
            outcome: &row.outcome,
            reason: row.reason.as_deref(),
            by: &row.by,
            user: row.user.as_ref().map(|id| Hex(id.0.as_bytes())),
            session: row.session.as_ref().map(|id| Hex(id.0.as_bytes())),
            details: &row.details,
            personal: Hex(&row.personal),
            address: row.address.as_ref().map(|tag| Hex(&tag.0)),
            mac: Hex(&row.mac),
        }
    }
}

/// A place in the chain, as the statement that gives many of them reads it.
#[derive(Serialize)]
struct LinkLine<'a> {
    id: Hex<'a>,
    position: u64,
    hash: Hex<'a>,
}

/// Bytes as text of hexadecimal digits.
struct Hex<'a>(&'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let halves = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = halves.filter_map(|half| char::from_digit(half.into(), 16));
        let mut text = String::with_capacity(self.0.len() * 2);
        text.extend(digits);
        serializer.serialize_str(&text)
    }
}

fn json_list(lines: impl Iterator<Item: Serialize>) -> Result<Value, DbError> {
    let mut text = Vec::new();
    let mut list = serde_json::Serializer::new(&mut text);
    let written = list.collect_seq(lines).map_err(|error| error.to_string());
    let text = written.and_then(|()| String::from_utf8(text).map_err(|error| error.to_string()));
    text.map(Value::Json).map_err(DbError::Corrupt)
}

/// Later than any event, and within what both engines can keep.
const FAR: Timestamp = Timestamp::MAX;
