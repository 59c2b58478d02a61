use std::net::IpAddr;

use countersign_domain::audit::{Hash, Kind, Mark, Personal, Row};
use countersign_domain::{EventId, SessionId, UserId};
use countersign_store::{EventQuery, StoredEvent};
use jiff::Timestamp;

use crate::Flows;
use crate::fault::Fault;
use crate::sessions::Page;

/// Which events to list. What is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// About this user.
    pub user: Option<UserId>,
    /// About this session.
    pub session: Option<SessionId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// From this address, or from its /64 of IPv6.
    pub ip: Option<IpAddr>,
    /// At or after this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// An event, readable.
#[derive(Clone, Debug)]
pub struct Event {
    /// The event as it is stored.
    pub row: Row,
    /// Its place in the chain, if it has one already.
    pub position: Option<u64>,
    /// The chain's hash there, where the list is the chain.
    pub hash: Option<Hash>,
    /// From where. `None`: nothing was known, or the user was erased.
    pub personal: Option<Personal>,
    /// The user that it is about was erased, and with it from where it came.
    pub erased: bool,
}

impl Flows {
    /// Events, newest first.
    pub async fn audit_events(
        &self,
        filter: &EventFilter,
        before: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Page<Event, (Timestamp, EventId)>, Fault> {
        let query = EventQuery {
            user: filter.user,
            session: filter.session,
            kind: filter.kind,
            address: filter.ip.map(|ip| self.ink.tag(ip)),
            from: filter.from,
            to: filter.to,
        };
        let mut stored = self.store.events(&query, before, limit + 1).await?;
        let more = stored.len() > limit as usize;
        stored.truncate(limit as usize);
        let items: Vec<_> = stored
            .into_iter()
            .map(|event| self.readable(event))
            .collect();
        let next = items.last().filter(|_| more);
        Ok(Page {
            next: next.map(|event| (event.row.at, event.row.id)),
            items,
        })
    }

    /// Events in the order of the chain, from behind a position; `limit` at most.
    pub async fn audit_chain(&self, after: u64, limit: u32) -> Result<Vec<Event>, Fault> {
        let sealed = self.store.sealed_events(after, limit).await?;
        let events = sealed.into_iter().map(|(sealed, salt)| {
            let stored = StoredEvent {
                row: sealed.row,
                position: Some(sealed.position),
                salt,
            };
            Event {
                hash: Some(sealed.hash),
                ..self.readable(stored)
            }
        });
        Ok(events.collect())
    }

    /// The signed end of the chain, and the key that the signature can be checked with.
    pub async fn audit_head(&self) -> Result<(Option<Mark>, Vec<u8>), Fault> {
        let head = self.store.chain().await?.head;
        Ok((head, self.ink.public_key().to_vec()))
    }

    pub(crate) fn readable(&self, stored: StoredEvent) -> Event {
        let personal = self.ink.read(&stored.row, stored.salt.as_ref());
        Event {
            erased: stored.row.user.is_some() && stored.salt.is_none(),
            personal,
            row: stored.row,
            position: stored.position,
            hash: None,
        }
    }
}
