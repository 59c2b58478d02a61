//! What followers are sent, written down.

use bytes::Bytes;
use countersign_flows::{Fact, Progress, Revocation};
use serde::Serialize;
use uuid::Uuid;

use super::resume::ResumePoint;

/// The most entries of one event: about 50 KB of text.
pub(super) const ENTRIES: usize = 400;

/// How soon a client comes back whose stream has ended, in milliseconds.
const RETRY: u32 = 1000;

#[derive(Serialize)]
struct Session {
    sid: Uuid,
    until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Uuid>,
}

#[derive(Serialize)]
struct User {
    sub: Uuid,
    not_before: i64,
    until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Uuid>,
}

#[derive(Serialize)]
struct Everybody {
    not_before: i64,
    until: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Uuid>,
}

#[derive(Default, Serialize)]
struct Entries {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<Session>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    everybody: Vec<Everybody>,
}

impl Entries {
    fn of<'a>(revocations: impl Iterator<Item = &'a Revocation>) -> Self {
        let mut entries = Self::default();
        for revocation in revocations {
            match *revocation {
                Revocation::Session { sid, until, event } => entries.sessions.push(Session {
                    sid,
                    until,
                    event_id: event,
                }),
                Revocation::User {
                    sub,
                    not_before,
                    until,
                    event,
                } => entries.users.push(User {
                    sub,
                    not_before,
                    until,
                    event_id: event,
                }),
                Revocation::Everybody {
                    not_before,
                    until,
                    event,
                } => entries.everybody.push(Everybody {
                    not_before,
                    until,
                    event_id: event,
                }),
            }
        }
        entries
    }
}

#[derive(Serialize)]
struct Part {
    part: usize,
    complete: bool,
    #[serde(flatten)]
    entries: Entries,
}

#[derive(Serialize)]
struct Beat {
    as_of: jiff::Timestamp,
    age_ms: i64,
}

/// The whole set, in parts of a bounded size. There is always one, which says that it is the last.
pub(super) fn snapshot(revocations: &[Revocation]) -> Vec<Bytes> {
    let parts = revocations.len().div_ceil(ENTRIES).max(1);
    let part = |index: usize| {
        let begin = index.saturating_mul(ENTRIES);
        let entries = Entries::of(revocations.iter().skip(begin).take(ENTRIES));
        let part = Part {
            part: index + 1,
            complete: index + 1 == parts,
            entries,
        };
        event("snapshot", None, &part)
    };
    (0..parts).map(part).collect()
}

/// Facts of one kind, in one event: [`ENTRIES`] at most.
pub(super) fn facts(facts: &[Fact]) -> Bytes {
    let revocations = facts.iter().filter_map(|fact| match fact {
        Fact::Revoked(revocation) => Some(revocation),
        Fact::KeysChanged => None,
    });
    match facts.first() {
        Some(Fact::KeysChanged) => event("keys_changed", None, &serde_json::json!({})),
        _ => event("revoked", None, &Entries::of(revocations)),
    }
}

/// "All that was acknowledged before then has been sent."
pub(super) fn heartbeat(progress: &Progress, age_ms: i64, resume: &ResumePoint) -> Bytes {
    let beat = Beat {
        as_of: progress.as_of,
        age_ms,
    };
    event("heartbeat", Some(resume), &beat)
}

/// Says nothing, and keeps the connection.
pub(super) fn comment() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// What every stream begins with.
pub(super) fn beginning() -> Bytes {
    Bytes::from(format!("retry: {RETRY}\n\n"))
}

fn event(name: &str, id: Option<&ResumePoint>, data: &impl Serialize) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // Ids, numbers and times: writing them down cannot fail.
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\n{id}data: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(frame: &Bytes) -> &str {
        std::str::from_utf8(frame).unwrap()
    }

    #[test]
    fn each_kind_of_entry() {
        let (sid, sub, event) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let event = Some(event);
        let all = [
            Revocation::Session {
                sid,
                until: 10,
                event,
            },
            Revocation::User {
                sub,
                not_before: 5000,
                until: 11,
                event: None,
            },
            Revocation::Everybody {
                not_before: 6000,
                until: 12,
                event,
            },
        ];
        let frame = facts(&all.map(Fact::Revoked));
        assert_eq!(
            text(&frame),
            "event: revoked\ndata: {\"sessions\":[{\"sid\":\"00000000-0000-0000-0000-000000000001\",\"until\":10,\
             \"event_id\":\"00000000-0000-0000-0000-000000000003\"}],\
             \"users\":[{\"sub\":\"00000000-0000-0000-0000-000000000002\",\"not_before\":5000,\"until\":11}],\
             \"everybody\":[{\"not_before\":6000,\"until\":12,\
             \"event_id\":\"00000000-0000-0000-0000-000000000003\"}]}\n\n"
        );
        assert_eq!(
            text(&facts(&[Fact::KeysChanged])),
            "event: keys_changed\ndata: {}\n\n"
        );
    }

    #[test]
    fn a_snapshot_is_never_without_an_end_and_its_parts_are_bounded() {
        let none = snapshot(&[]);
        assert_eq!(none.len(), 1);
        assert_eq!(
            text(&none[0]),
            "event: snapshot\ndata: {\"part\":1,\"complete\":true}\n\n"
        );
        let many: Vec<_> = (0..=2 * ENTRIES as u128)
            .map(|n| Revocation::Session {
                sid: Uuid::from_u128(n),
                until: i64::MAX,
                event: Some(Uuid::max()),
            })
            .collect();
        let parts = snapshot(&many);
        let complete: Vec<_> = parts
            .iter()
            .map(|part| text(part).contains("\"complete\":true"))
            .collect();
        assert_eq!(complete, [false, false, true]);
        assert!(parts.iter().all(|part| part.len() < 64 * 1024));
    }
}
