use std::sync::{Arc, Weak};

use countersign_domain::audit::{Draft, Ink, Row, Salt};
use countersign_domain::{EventId, SessionId, UserId};
use jiff::Timestamp;

use crate::Actor;

/// What is done, on whose behalf and when: an argument of every method that changes something. The
/// event is written in the transaction of the change, and only where something changed; its id is the one that
/// ended sessions and announcements carry.
#[derive(Clone, Debug)]
pub struct Act {
    /// Who must still be allowed to do it.
    pub actor: Actor,
    /// When it is done.
    pub now: Timestamp,
    /// When the last access token issued before now will have expired.
    pub tokens_until: Timestamp,
    /// What the audit log says of it. The method completes the user and the session where only its
    /// transaction knows them.
    pub draft: Draft,
    /// What the event is written with.
    pub ink: Arc<Ink>,
    /// Dangles when whoever asked has gone away. `None`: it is done in any case.
    pub asker: Option<Weak<()>>,
}

impl Act {
    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        let asker = self.asker.as_ref();
        asker.is_some_and(|asker| asker.strong_count() == 0)
    }

    /// The event's id.
    pub fn event(&self) -> EventId {
        self.draft.id
    }

    /// The event, about a user.
    pub fn row(&self, user: UserId, salt: Option<&Salt>, session: Option<SessionId>) -> Row {
        let draft = Draft {
            user: Some(user),
            session: session.or(self.draft.session),
            ..self.draft.clone()
        };
        self.ink.write(&draft, salt)
    }

    /// The event, about a user, with the sessions that ended by it in its details.
    pub fn row_ending(
        &self,
        user: UserId,
        salt: Option<&Salt>,
        session: Option<SessionId>,
        ended: &[SessionId],
    ) -> Row {
        let mut act = self.clone();
        if !ended.is_empty() {
            let ended: Vec<_> = ended.iter().map(SessionId::to_string).collect();
            act.draft.details.insert("ended".to_owned(), ended.into());
        }
        act.row(user, salt, session)
    }
}
