//! What somebody might do to the table, as statements, and what the log must say of it.

use countersign_domain::EventId;
use countersign_domain::audit::{By, Draft, Fault, Kind, Mark, MarkKind, Row, link};
use proptest::prelude::*;
use proptest::sample::Index;
use uuid::Uuid;

use crate::log::{Log, draft, ink};

/// The columns of an event, but for its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Id,
    At,
    Kind,
    Outcome,
    Reason,
    By,
    User,
    NoUser,
    Session,
    NoSession,
    Details,
    Personal,
    NoPersonal,
    Address,
    NoAddress,
    Mac,
    Hash,
}

const COLUMNS: [Column; 17] = [
    Column::Id,
    Column::At,
    Column::Kind,
    Column::Outcome,
    Column::Reason,
    Column::By,
    Column::User,
    Column::NoUser,
    Column::Session,
    Column::NoSession,
    Column::Details,
    Column::Personal,
    Column::NoPersonal,
    Column::Address,
    Column::NoAddress,
    Column::Mac,
    Column::Hash,
];

#[derive(Clone, Copy, Debug)]
pub(crate) enum MarkPart {
    Position,
    Hash,
    At,
    Signature,
}

const PARTS: [MarkPart; 4] = [
    MarkPart::Position,
    MarkPart::Hash,
    MarkPart::At,
    MarkPart::Signature,
];

/// One edit. Which events and marks it is about is chosen from what there is.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Change(Column, Index),
    ChangeWaiting(Column, Index),
    /// Moves it where nothing is: behind the end, before the beginning, or back to those that wait.
    MoveBehind(Index),
    MoveBefore(Index, u8),
    Unseal(Index),
    Drop(Index),
    /// The later ones move up, so that there is no gap.
    DropAndCloseUp(Index),
    DropAll,
    InsertBehind,
    InsertBefore(u8),
    InsertWaiting,
    /// The later ones make room.
    InsertAmong(Index),
    SwapPositions(Index, Index),
    SwapPlaces(Index, Index),
    CutTail(Index),
    /// With an end that fits, signed by another installation.
    CutTailForgingHead(Index),
    /// With a checkpoint's signature.
    CutTailReplayingCheckpoint(Index),
    Head(MarkPart),
    HeadDropped,
    HeadOfBefore(Index),
    Cut(MarkPart),
    CutDropped,
    CutOfBefore(Index),
    /// Cuts more off than was, with a checkpoint's signature.
    CutFurther(Index),
    Checkpoint(Index, MarkPart),
    /// Another key for a user who was not erased.
    Salt,
}

pub(crate) fn edits() -> impl Strategy<Value = Edit> {
    let column = prop::sample::select(&COLUMNS[..]);
    let part = prop::sample::select(&PARTS[..]);
    let one = any::<Index>;
    prop_oneof![
        8 => (column.clone(), one()).prop_map(|(column, one)| Edit::Change(column, one)),
        2 => (column, one()).prop_map(|(column, one)| Edit::ChangeWaiting(column, one)),
        1 => one().prop_map(Edit::MoveBehind),
        1 => (one(), any::<u8>()).prop_map(|(one, n)| Edit::MoveBefore(one, n)),
        1 => one().prop_map(Edit::Unseal),
        2 => one().prop_map(Edit::Drop),
        2 => one().prop_map(Edit::DropAndCloseUp),
        1 => Just(Edit::DropAll),
        1 => Just(Edit::InsertBehind),
        1 => any::<u8>().prop_map(Edit::InsertBefore),
        1 => Just(Edit::InsertWaiting),
        1 => one().prop_map(Edit::InsertAmong),
        1 => (one(), one()).prop_map(|(one, other)| Edit::SwapPositions(one, other)),
        1 => (one(), one()).prop_map(|(one, other)| Edit::SwapPlaces(one, other)),
        2 => one().prop_map(Edit::CutTail),
        2 => one().prop_map(Edit::CutTailForgingHead),
        1 => one().prop_map(Edit::CutTailReplayingCheckpoint),
        2 => part.clone().prop_map(Edit::Head),
        1 => Just(Edit::HeadDropped),
        1 => one().prop_map(Edit::HeadOfBefore),
        2 => part.clone().prop_map(Edit::Cut),
        1 => Just(Edit::CutDropped),
        1 => one().prop_map(Edit::CutOfBefore),
        1 => one().prop_map(Edit::CutFurther),
        2 => (one(), part).prop_map(|(one, part)| Edit::Checkpoint(one, part)),
        1 => Just(Edit::Salt),
    ]
}

/// The statements of an edit, and what is found after them. `None`: the log has nothing that it could be
/// about, or it would change nothing.
pub(crate) fn plan(log: &Log, edit: &Edit) -> Option<(String, Fault)> {
    let raw = &log.raw;
    let sealed = &log.sealed;
    let pick = |index: &Index| (!sealed.is_empty()).then(|| &sealed[index.index(sealed.len())]);
    let end = log.head().position;
    let missing = |position| Fault::Missing { position };
    let at = |position: u64| format!("WHERE position = {position}");
    Some(match edit {
        Edit::Change(column, index) => {
            let sealed = pick(index)?;
            let (position, id) = (sealed.position, sealed.row.id);
            let erased = sealed.row.user.is_some_and(|user| user != log.user);
            if erased && matches!(column, Column::Address) {
                // Nobody can tell any more where it came from.
                return None;
            }
            let set = set(log, *column, &sealed.row, Some(&sealed.hash))?;
            let fault = match column {
                Column::Id => Fault::Changed {
                    position,
                    id: EventId(FORGED),
                },
                Column::Hash => Fault::Moved { position, id },
                _ => Fault::Changed { position, id },
            };
            let sql = format!("UPDATE audit_events SET {set} {}", at(position));
            (sql, fault)
        }
        Edit::ChangeWaiting(column, index) => {
            let waiting = (!log.waiting.is_empty()).then(|| index.get(&log.waiting))?;
            let row = waiting_row(*waiting);
            // What is not under the MAC is looked at once it has its place. That of an erased user has no personal part
            // to take away.
            if matches!(
                column,
                Column::Address | Column::NoAddress | Column::Hash | Column::NoPersonal
            ) {
                return None;
            }
            let set = set(log, *column, &row, None)?;
            let id = match column {
                Column::Id => EventId(FORGED),
                _ => *waiting,
            };
            let sql = format!(
                "UPDATE audit_events SET {set} WHERE id = {}",
                raw.id(waiting.0)
            );
            (sql, Fault::Foreign { id })
        }
        Edit::MoveBehind(index) => {
            let (from, id) = (pick(index)?.position, pick(index)?.row.id);
            let position = end + 5;
            let sql = format!("UPDATE audit_events SET position = {position} {}", at(from));
            // Of the last one it shows first where it is, not where it was.
            let fault = match from == end {
                true => Fault::Beyond { position, id },
                false => missing(from),
            };
            (sql, fault)
        }
        Edit::MoveBefore(index, n) => {
            let sealed = pick(index)?;
            let (to, id) = (before(log, *n), sealed.row.id);
            let sql = format!(
                "UPDATE audit_events SET position = {to} {}",
                at(sealed.position)
            );
            (sql, Fault::Stray { id })
        }
        Edit::Unseal(index) => {
            let position = pick(index)?.position;
            let sql = format!(
                "UPDATE audit_events SET position = NULL, hash = NULL {}",
                at(position)
            );
            (sql, missing(position))
        }
        Edit::Drop(index) => {
            let position = pick(index)?.position;
            (
                format!("DELETE FROM audit_events {}", at(position)),
                missing(position),
            )
        }
        Edit::DropAndCloseUp(index) => {
            let position = pick(index)?.position;
            let next = sealed.iter().find(|one| one.position == position + 1);
            let fault = match next {
                Some(next) => Fault::Moved {
                    position,
                    id: next.row.id,
                },
                None => missing(position),
            };
            let drop = format!("DELETE FROM audit_events {}", at(position));
            (format!("{drop}; {}", shift(position, -1)), fault)
        }
        Edit::DropAll => {
            let first = sealed.first()?.position;
            (
                "DELETE FROM audit_events WHERE position IS NOT NULL".to_owned(),
                missing(first),
            )
        }
        Edit::InsertBehind => {
            let (position, id) = (end + 1, EventId(FORGED));
            let hash = link(&log.head().hash, position, &forged().digest());
            (
                insert(log, Some((i64::try_from(position).unwrap(), hash))),
                Fault::Beyond { position, id },
            )
        }
        Edit::InsertBefore(n) => {
            let id = EventId(FORGED);
            (
                insert(log, Some((before(log, *n), [1; 32]))),
                Fault::Stray { id },
            )
        }
        Edit::InsertWaiting => {
            let id = EventId(FORGED);
            (insert(log, None), Fault::Foreign { id })
        }
        Edit::InsertAmong(index) => {
            let position = pick(index)?.position;
            let id = EventId(FORGED);
            let row = insert(log, Some((i64::try_from(position).unwrap(), [1; 32])));
            (
                format!("{}; {row}", shift(position - 1, 1)),
                Fault::Changed { position, id },
            )
        }
        Edit::SwapPositions(one, other) | Edit::SwapPlaces(one, other) => {
            let (one, other) = (pick(one)?, pick(other)?);
            let (one, other) = match one.position.cmp(&other.position) {
                std::cmp::Ordering::Less => (one, other),
                std::cmp::Ordering::Equal => return None,
                std::cmp::Ordering::Greater => (other, one),
            };
            let place = |position: i64, hash: &[u8; 32]| match edit {
                Edit::SwapPlaces(..) => {
                    format!("position = {position}, hash = {}", raw.bytes(hash))
                }
                _ => format!("position = {position}"),
            };
            let (p, q) = (signed(one.position), signed(other.position));
            let moves = [
                (p, place(-7, &other.hash)),
                (q, place(p, &one.hash)),
                (-7, place(q, &other.hash)),
            ];
            let moves = moves.map(|(from, set)| {
                format!("UPDATE audit_events SET {set} WHERE position = {from}")
            });
            let (position, id) = (one.position, other.row.id);
            (moves.join("; "), Fault::Moved { position, id })
        }
        Edit::CutTail(index) => {
            let first = pick(index)?.position;
            let sql = format!("DELETE FROM audit_events WHERE position >= {first}");
            (sql, missing(first))
        }
        Edit::CutTailForgingHead(index) => {
            let first = pick(index)?;
            let (position, hash) = before_of(log, first.position);
            let forged = ink(8).mark(MarkKind::Head, position, hash, draft(0).at);
            let cut = format!(
                "DELETE FROM audit_events WHERE position >= {}",
                first.position
            );
            let kind = MarkKind::Head;
            (
                format!("{cut}; {}", replace(log, &forged, kind)),
                Fault::Mark { kind, position },
            )
        }
        Edit::CutTailReplayingCheckpoint(index) => {
            let checkpoint = (!log.checkpoints.is_empty()).then(|| index.get(&log.checkpoints))?;
            let kind = MarkKind::Head;
            let position = checkpoint.position;
            let cut = format!("DELETE FROM audit_events WHERE position > {position}");
            (
                format!("{cut}; {}", replace(log, checkpoint, kind)),
                Fault::Mark { kind, position },
            )
        }
        Edit::Head(part) => {
            let head = log.head();
            let fault = Fault::Mark {
                kind: MarkKind::Head,
                position: match part {
                    MarkPart::Position => end + 1,
                    _ => end,
                },
            };
            (replace(log, &changed(head, *part), MarkKind::Head), fault)
        }
        Edit::HeadDropped => {
            let first = sealed.first()?;
            let (position, id) = (first.position, first.row.id);
            (
                "DELETE FROM audit_marks WHERE kind = 'head'".to_owned(),
                Fault::Beyond { position, id },
            )
        }
        Edit::HeadOfBefore(index) => {
            let old = index.get(&log.heads);
            let behind = sealed.iter().find(|one| one.position > old.position)?;
            let (position, id) = (behind.position, behind.row.id);
            (
                replace(log, old, MarkKind::Head),
                Fault::Beyond { position, id },
            )
        }
        Edit::Cut(part) => {
            let cut = changed(log.cuts.last()?, *part);
            let kind = MarkKind::Cut;
            let position = cut.position;
            (replace(log, &cut, kind), Fault::Mark { kind, position })
        }
        Edit::CutDropped => {
            log.cuts.last()?;
            (
                "DELETE FROM audit_marks WHERE kind = 'cut'".to_owned(),
                missing(1),
            )
        }
        Edit::CutOfBefore(index) => {
            let (last, before) = log.cuts.split_last()?;
            let old = (!before.is_empty()).then(|| index.get(before))?;
            assert!(old.position < last.position);
            (replace(log, old, MarkKind::Cut), missing(old.position + 1))
        }
        Edit::CutFurther(index) => {
            let checkpoint = (!log.checkpoints.is_empty()).then(|| index.get(&log.checkpoints))?;
            let kind = MarkKind::Cut;
            let position = checkpoint.position;
            let cut = format!("DELETE FROM audit_events WHERE position <= {position}");
            (
                format!("{cut}; {}", replace(log, checkpoint, kind)),
                Fault::Mark { kind, position },
            )
        }
        Edit::Checkpoint(index, part) => {
            let checkpoint = (!log.checkpoints.is_empty()).then(|| index.get(&log.checkpoints))?;
            let changed = changed(checkpoint, *part);
            let (kind, position) = (MarkKind::Checkpoint, changed.position);
            let sql = format!(
                "UPDATE audit_marks SET {} WHERE kind = 'checkpoint' AND slot = {}",
                values(log, &changed),
                checkpoint.position
            );
            (sql, Fault::Mark { kind, position })
        }
        Edit::Salt => {
            let personal = |row: &Row| row.user == Some(log.user) && !row.personal.is_empty();
            let first = sealed.iter().find(|one| personal(&one.row))?;
            let (position, id) = (first.position, first.row.id);
            let (salt, user) = (raw.bytes(&[99; 16]), raw.id(log.user.0));
            let sql = format!("UPDATE users SET audit_salt = {salt} WHERE id = {user}");
            (sql, Fault::Changed { position, id })
        }
    })
}

const FORGED: Uuid = Uuid::from_u128(0xf0f0_f0f0_f0f0_7f0f_8f0f_f0f0_f0f0_f0f0);

/// An event that another installation has written.
fn forged() -> Row {
    let draft = Draft {
        id: EventId(FORGED),
        kind: Kind::LoginSucceeded,
        by: By::Server,
        ..draft(99)
    };
    ink(8).write(&draft, None)
}

/// What a change needs to know of an event that waits.
fn waiting_row(id: EventId) -> Row {
    let mut row = forged();
    row.id = id;
    row.reason = Some("not what it is".to_owned());
    row.kind = "not what it is".to_owned();
    row
}

fn set(log: &Log, column: Column, row: &Row, hash: Option<&[u8; 32]>) -> Option<String> {
    let raw = &log.raw;
    let flip = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        raw.bytes(&bytes)
    };
    Some(match column {
        Column::Id => format!("id = {}", raw.id(FORGED)),
        Column::At => {
            let later = row.at + jiff::SignedDuration::from_micros(1);
            format!("at = {}", raw.time(later))
        }
        Column::Kind => "kind = 'user.enabled'".to_owned(),
        Column::Outcome => "outcome = 'neither'".to_owned(),
        Column::Reason => "reason = 'another'".to_owned(),
        Column::By => "by = 'operator:eve'".to_owned(),
        Column::User => format!("user_id = {}", raw.id(FORGED)),
        Column::NoUser => row.user.map(|_| "user_id = NULL".to_owned())?,
        Column::Session => format!("session_id = {}", raw.id(FORGED)),
        Column::NoSession => row.session.map(|_| "session_id = NULL".to_owned())?,
        Column::Details => "details = '{}'".to_owned(),
        Column::Personal if row.personal.is_empty() => {
            format!("personal = {}", raw.bytes(&[1; 40]))
        }
        Column::Personal => format!("personal = {}", flip(&row.personal)),
        Column::NoPersonal if row.personal.is_empty() => return None,
        Column::NoPersonal => format!("personal = {}", raw.bytes(&[])),
        Column::Address => format!("address_tag = {}", raw.bytes(&[1; 16])),
        Column::NoAddress => row.address.map(|_| "address_tag = NULL".to_owned())?,
        Column::Mac => format!("mac = {}", flip(&row.mac)),
        Column::Hash => format!("hash = {}", flip(hash?)),
    })
}

fn insert(log: &Log, place: Option<(i64, [u8; 32])>) -> String {
    let (raw, row) = (&log.raw, forged());
    let (position, hash) = match place {
        Some((position, hash)) => (position.to_string(), raw.bytes(&hash)),
        None => ("NULL".to_owned(), "NULL".to_owned()),
    };
    format!(
        "INSERT INTO audit_events (id, at, kind, outcome, by, details, personal, mac, position, hash) \
         VALUES ({}, {}, '{}', '{}', '{}', '{}', {}, {}, {position}, {hash})",
        raw.id(row.id.0),
        raw.time(row.at),
        row.kind,
        row.outcome,
        row.by,
        row.details,
        raw.bytes(&row.personal),
        raw.bytes(&row.mac),
    )
}

/// Moves the events behind a position; no two have one position on the way.
fn shift(after: u64, by: i64) -> String {
    format!(
        "UPDATE audit_events SET position = -1000000 - (position + {by}) WHERE position > {after}; \
         UPDATE audit_events SET position = -1000000 - position WHERE position < -1000000"
    )
}

/// A place at or before which nothing is left.
fn before(log: &Log, n: u8) -> i64 {
    signed(log.begin()) - i64::from(n)
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap()
}

/// The position before this one, and the hash there.
fn before_of(log: &Log, position: u64) -> (u64, [u8; 32]) {
    let before = log.sealed.iter().find(|one| one.position + 1 == position);
    let begin = log
        .cuts
        .last()
        .map_or((0, [0; 32]), |cut| (cut.position, cut.hash));
    before.map_or(begin, |one| (one.position, one.hash))
}

fn changed(mark: &Mark, part: MarkPart) -> Mark {
    let mut mark = mark.clone();
    match part {
        MarkPart::Position => mark.position += 1,
        MarkPart::Hash => mark.hash[31] ^= 1,
        MarkPart::At => mark.at += jiff::SignedDuration::from_micros(1),
        MarkPart::Signature => mark.signature[40] ^= 1,
    }
    mark
}

fn values(log: &Log, mark: &Mark) -> String {
    let raw = &log.raw;
    format!(
        "position = {}, hash = {}, at = {}, signature = {}",
        mark.position,
        raw.bytes(&mark.hash),
        raw.time(mark.at),
        raw.bytes(&mark.signature)
    )
}

/// Puts what a mark says in the place of the head or the cut.
pub(crate) fn replace(log: &Log, mark: &Mark, kind: MarkKind) -> String {
    let (raw, kind) = (&log.raw, kind.as_str());
    format!(
        "DELETE FROM audit_marks WHERE kind = '{kind}'; \
         INSERT INTO audit_marks (kind, slot, position, hash, at, signature) \
         VALUES ('{kind}', 0, {}, {}, {}, {})",
        mark.position,
        raw.bytes(&mark.hash),
        raw.time(mark.at),
        raw.bytes(&mark.signature)
    )
}
