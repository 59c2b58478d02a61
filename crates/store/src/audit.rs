use std::sync::Arc;

use async_trait::async_trait;
use countersign_domain::audit::{AddressTag, Draft, Hash, Ink, Kind, Mark, Row, Salt, Sealed};
use countersign_domain::{EventId, SessionId, UserId};
use jiff::Timestamp;

use crate::StoreError;

/// Which events to list. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// About this user.
    pub user: Option<UserId>,
    /// About this session.
    pub session: Option<SessionId>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// From this address. Refreshes are not found by address, but by their session.
    pub address: Option<AddressTag>,
    /// At or after this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// An event as it is stored.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The event.
    pub row: Row,
    /// Its place in the chain; `None` for about a second, until it has one.
    pub position: Option<u64>,
    /// What its personal part is read with; `None`: it is about no user, or the user was erased.
    pub salt: Option<Salt>,
}

/// How far the chain goes, as it says itself: the marks are as they are stored, and may be forged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its end.
    pub head: Option<Mark>,
    /// Up to where events have been removed.
    pub cut: Option<Mark>,
}

/// The place of an event in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The event.
    pub id: EventId,
    /// Its position.
    pub position: u64,
    /// The chain's hash there.
    pub hash: Hash,
}

/// The audit log. Events of acts are written by the acts' own methods; here are the others, the
/// chain, and reading.
#[async_trait]
pub trait Audit {
    /// Writes events in one transaction, all or none, each with its user's salt; an event whose user is gone loses
    /// its personal part. One that is there already is left as it is, so trying again is safe.
    async fn append_events(&self, drafts: &[Draft], ink: &Arc<Ink>) -> Result<(), StoreError>;

    /// The event with this id.
    async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError>;

    /// Events, newest first, from before the one that `before` names by its time and id; at most `limit`.
    async fn events(
        &self,
        query: &EventQuery,
        before: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Takes the addresses of an erased user out of at most some hundred events, and answers whether there may be more. Deleting
    /// the user does so for the first.
    async fn forget_addresses(&self, user: UserId) -> Result<bool, StoreError>;

    /// Events that have no place in the chain yet, in order of their ids, that is of age, behind an id; at most `limit`.
    async fn unsealed_events(
        &self,
        after: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError>;

    /// How far the chain goes.
    async fn chain(&self) -> Result<Chain, StoreError>;

    /// Gives events their places, in one transaction, if the chain's end is still `after`: of any
    /// number of calls at once, on any instance, one succeeds, and the chain never forks. Answers whether it did.
    async fn seal_events(
        &self,
        after: Option<&Mark>,
        links: &[Link],
        head: &Mark,
        checkpoint: Option<&Mark>,
    ) -> Result<bool, StoreError>;

    /// The events behind a position, in order, each with what its personal part is read with; at most `limit`.
    async fn sealed_events(
        &self,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(Sealed, Option<Salt>)>, StoreError>;

    /// An event that claims a position up to `through`, where none is left: one that somebody else put there.
    async fn stray_event(&self, through: u64) -> Result<Option<EventId>, StoreError>;

    /// The checkpoints behind a position, in order; at most `limit`.
    async fn checkpoints(&self, after: u64, limit: u32) -> Result<Vec<Mark>, StoreError>;

    /// Removes the events and checkpoints up to `cut`, in one transaction, if the last cut is still
    /// `after`. Answers whether it did.
    async fn cut_events(&self, after: Option<&Mark>, cut: &Mark) -> Result<bool, StoreError>;
}
