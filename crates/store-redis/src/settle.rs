//! Drawing the consequences of announcements for Redis.

use countersign_domain::SessionId;
use countersign_store::{Announcement, Subject};

use crate::debts::Debt;
use crate::instance::Core;

impl Core {
    /// After a change of this instance's: has Redis hold what the database holds, and tells the other instances.
    /// When this returns, no instance refreshes what ended, nor with what a user's roles were.
    pub(crate) async fn settle(&self, announcements: &[Announcement]) {
        let debts = self.draw(announcements).await;
        if let Err(error) = self.tell_or_leave(debts).await {
            // The change is made, and the others follow it within half a second.
            tracing::warn!(%error, "instances that use Redis could not be told at once");
        }
        self.ears.note_applied(announcements);
        self.publish(announcements).await;
        if ends_everybody(announcements) {
            self.leave_what_is_over().await;
        }
    }

    /// After a change of somebody else's, who may have died before Redis was told, or has no Redis.
    pub(crate) async fn follow(&self, announcements: &[Announcement]) {
        let debts = self.draw(announcements).await;
        // Whoever made the change has seen to it that nobody goes on, if it could.
        self.tell(debts).await;
        self.ears.note_applied(announcements);
        if ends_everybody(announcements) {
            self.leave_what_is_over().await;
        }
    }

    async fn draw(&self, announcements: &[Announcement]) -> Vec<(SessionId, Debt)> {
        let mut debts = ends(announcements);
        for announcement in announcements {
            // Of what changes about a user only the roles are in Redis, and those outdate access tokens.
            if let Subject::User { id, .. } = announcement.subject {
                match self.beneath.sessions_of(id).await {
                    Ok(sessions) => {
                        debts.extend(sessions.into_iter().map(|session| (session, Debt::Stale)));
                    }
                    Err(_) => self.distrust("a user's sessions are not known"),
                }
            }
        }
        debts
    }
}

/// The sessions that are announced to have ended.
pub(crate) fn ends(announcements: &[Announcement]) -> Vec<(SessionId, Debt)> {
    let session = |announcement: &Announcement| match announcement.subject {
        Subject::Session(id) => Some((id, Debt::Bury)),
        _ => None,
    };
    announcements.iter().filter_map(session).collect()
}

/// Whether all sessions have ended. The database then began a new epoch with it.
pub(crate) fn ends_everybody(announcements: &[Announcement]) -> bool {
    let everybody = |one: &Announcement| matches!(one.subject, Subject::Everybody { .. });
    announcements.iter().any(everybody)
}
