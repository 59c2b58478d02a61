use countersign_domain::audit::{By, Kind, Row};
use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::{EventQuery, Session, StoredEvent};
use uuid::Uuid;

use super::list::Event;
use crate::fault::Fault;
use crate::{Caller, Flows};

/// How many events are looked through for the end of a session that is gone: it is among the last.
const LAST_EVENTS: u32 = 5;

/// The longest timeline, in events.
const TIMELINE: u32 = 1000;

/// What a refused token was, for whoever wants to know why it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its session.
    pub session: SessionId,
    /// The event that explains it: what ended the session, or where the token itself has expired, what it came of.
    pub event: Option<EventId>,
}

/// Why a session is as it is.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The session's id.
    pub id: SessionId,
    /// Whose it was, if the log tells.
    pub user: Option<UserId>,
    /// The session itself; `None`: it was removed long after its end, or with its user.
    pub session: Option<Session>,
    /// Whether it had expired by now.
    pub expired: bool,
    /// What happened to it, oldest first.
    pub events: Vec<Event>,
}

/// What is known of an id: a session's, or an event's.
#[derive(Clone, Debug)]
pub enum Explanation {
    /// The story of the session that it is, or is about.
    Session(Box<Explained>),
    /// It is an event of this kind that is not about one session alone; these are the ones that it ended by name.
    NotOne(String, Vec<SessionId>),
    /// Neither a session nor an event.
    Unknown,
}

impl Flows {
    /// What ended a session, for a caller who had not heard of it.
    pub(crate) async fn trace(&self, session: SessionId) -> Result<Trace, Fault> {
        let stored = self.store.session(session).await?;
        let event = match stored {
            Some(stored) => stored.ended_by,
            None => self.end_of(session).await?,
        };
        Ok(Trace { session, event })
    }

    /// The event that ended a session which is gone, as far as the log tells.
    pub(crate) async fn end_of(&self, session: SessionId) -> Result<Option<EventId>, Fault> {
        let of_session = EventQuery {
            session: Some(session),
            ..EventQuery::default()
        };
        // Not more: whoever has a token of a session that is gone can ask this often.
        let of_session = self.store.events(&of_session, None, LAST_EVENTS).await?;
        let ends = |event: &&StoredEvent| names(&event.row.details, session);
        if let Some(ended) = of_session.iter().find(ends) {
            return Ok(Some(ended.row.id));
        }
        // Of a user who is gone the deletion is the last event, and may be another session's.
        let Some(user) = of_session.iter().find_map(|event| event.row.user) else {
            return Ok(None);
        };
        let of_user = EventQuery {
            user: Some(user),
            ..EventQuery::default()
        };
        let of_user = self.store.events(&of_user, None, LAST_EVENTS).await?;
        Ok(of_user.iter().find(ends).map(|event| event.row.id))
    }

    /// Records once that a session had expired, and answers the event.
    pub(crate) fn record_expiry(
        &self,
        user: UserId,
        session: SessionId,
        caller: &Caller,
    ) -> EventId {
        let id = self.ink.expiry_of(session);
        let mut draft = self.draft(Kind::SessionExpired, By::Subject, caller, self.clock.now());
        (draft.id, draft.user, draft.session) = (id, Some(user), Some(session));
        if self.expiries.get(&id).is_none() && self.recorder.record_soon(draft).is_ok() {
            self.expiries.insert(id, ());
        }
        id
    }

    /// Tells the story of a session, by its id or by the id of an event that is about it alone.
    pub async fn explain_session(&self, id: Uuid) -> Result<Explanation, Fault> {
        let session = match self.store.event(EventId(id)).await? {
            None => SessionId(id),
            Some(event) => match about(&event.row).as_slice() {
                [session] => *session,
                several => return Ok(Explanation::NotOne(event.row.kind, several.to_vec())),
            },
        };
        let explained = self.timeline(session).await?;
        match explained.session.is_some() || !explained.events.is_empty() {
            true => Ok(Explanation::Session(Box::new(explained))),
            false => Ok(Explanation::Unknown),
        }
    }

    async fn timeline(&self, id: SessionId) -> Result<Explained, Fault> {
        let session = self.store.session(id).await?;
        let of_session = EventQuery {
            session: Some(id),
            ..EventQuery::default()
        };
        let mut stored = self.store.events(&of_session, None, TIMELINE).await?;
        let user = session.as_ref().map(|session| session.user_id);
        let user = user.or_else(|| stored.iter().find_map(|event| event.row.user));
        // What ended it may be about the user, or about everybody: a change of password, say.
        let ended_by = session.as_ref().and_then(|session| session.ended_by);
        if let Some(event) = ended_by
            && stored.iter().all(|known| known.row.id != event)
            && let Some(event) = self.store.event(event).await?
        {
            stored.push(event);
        }
        if let (None, Some(user)) = (&session, user) {
            let of_user = EventQuery {
                user: Some(user),
                from: stored.iter().map(|event| event.row.at).min(),
                ..EventQuery::default()
            };
            let of_user = self.store.events(&of_user, None, TIMELINE).await?;
            stored.extend(
                of_user
                    .into_iter()
                    .filter(|event| event.row.session != Some(id) && names(&event.row.details, id)),
            );
        }
        stored.sort_by_key(|event| (event.row.at, event.row.id));
        let now = self.clock.now();
        let over = |session: &Session| session.state.refresh_expires_at() <= now;
        Ok(Explained {
            id,
            user,
            expired: session.as_ref().is_some_and(over),
            session,
            events: stored
                .into_iter()
                .map(|event| self.readable(event))
                .collect(),
        })
    }
}

/// The sessions that an event is about, for whoever holds a token that was answered with it. Where it ended any, those: the
/// session that acted has another story. A sign-in is about the one that it opened, too.
fn about(row: &Row) -> Vec<SessionId> {
    let mut sessions = ended(&row.details);
    if sessions.is_empty() || row.kind == Kind::LoginSucceeded.as_str() {
        sessions.extend(row.session);
    }
    sessions
}

/// Whether the details of an event name the session among those that it ended.
fn names(details: &str, session: SessionId) -> bool {
    ended(details).contains(&session)
}

/// The sessions that an event ended, as its details name them.
fn ended(details: &str) -> Vec<SessionId> {
    let details: serde_json::Value = serde_json::from_str(details).unwrap_or_default();
    let ended = details.get("ended").and_then(|ended| ended.as_array());
    let ids = ended.into_iter().flatten().filter_map(|id| id.as_str());
    ids.filter_map(|id| id.parse().ok()).collect()
}
