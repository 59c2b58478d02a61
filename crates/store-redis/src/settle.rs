//! Drawing the consequences of announcements for Redis.

use countersign_domain::SessionId;
use countersign_store::{Announcement, Subject};

use crate::debts::Debt;
use crate::instance::Core;

impl Core {
    /// After a change of this instance's: has Redis hold what the database holds, and tells the other instances.
    /// When this returns, no instance refreshes what ended. `roles`: the changed user's roles are among what changed.
    pub(crate) async fn settle(&self, announcements: &[Announcement], roles: bool) {
        let debts = self.draw(announcements, roles).await;
        if let Err(error) = self.tell_or_leave(debts).await {
            // The change is made, and the others follow it within half a second.
            tracing::warn!(%error, "instances that use Redis could not be told at once");
        }
        self.ears.note_applied(announcements);
        self.publish(announcements).await;
    }

    /// After a change of somebody else's, who may have died before Redis was told, or has no Redis.
    pub(crate) async fn follow(&self, announcements: &[Announcement]) {
        let debts = self.draw(announcements, true).await;
        // Whoever made the change has seen to it that nobody goes on, if it could.
        self.tell(debts).await;
        self.ears.note_applied(announcements);
    }

    async fn draw(&self, announcements: &[Announcement], roles: bool) -> Vec<(SessionId, Debt)> {
        let mut debts = Vec::new();
        for announcement in announcements {
            match announcement.subject {
                Subject::Session(id) => debts.push((id, Debt::Bury)),
                Subject::UserChanged(id) if roles => match self.beneath.sessions_of(id).await {
                    Ok(sessions) => {
                        debts.extend(sessions.into_iter().map(|session| (session, Debt::Stale)));
                    }
                    Err(_) => self.distrust("a user's sessions are not known"),
                },
                Subject::Everybody { .. } => self.pay_with_an_epoch().await,
                // The sessions themselves are announced too, and keys are not in Redis.
                Subject::User { .. } | Subject::UserChanged(_) | Subject::KeysChanged => {}
            }
        }
        debts
    }
}
