use countersign_domain::rotation::{Dead, EndReason};
use countersign_store::RefreshOutcome;

use crate::access::Tokens;
use crate::fault::Fault;
use crate::limits::Counted;
use crate::{Caller, Flows};

/// Why a refresh token was refused.
#[derive(Debug)]
pub enum RefreshError {
    /// It is not a token of ours, or its session is long gone.
    Invalid,
    /// The session was not used for too long, or has reached its greatest age.
    Expired,
    /// The session has been ended.
    Revoked,
    /// The token had been used before, so somebody holds a copy; the session has been ended.
    Reused,
    /// Something failed on the way.
    Fault(Fault),
}

impl From<Dead> for RefreshError {
    fn from(dead: Dead) -> Self {
        match dead {
            Dead::Expired => Self::Expired,
            Dead::Ended(EndReason::Reuse) => Self::Reused,
            Dead::Ended(_) => Self::Revoked,
        }
    }
}

impl Flows {
    /// Exchanges a refresh token for its successor and a new access token.
    pub async fn refresh(&self, token: &str, caller: &Caller) -> Counted<Tokens, RefreshError> {
        match self.count_refresh(caller) {
            Ok(standing) => Counted {
                outcome: self.try_refresh(token, caller).await,
                standing,
            },
            Err(limited) => Counted {
                outcome: Err(RefreshError::Fault(limited.into())),
                standing: Some(limited.standing),
            },
        }
    }

    pub(crate) async fn try_refresh(
        &self,
        token: &str,
        caller: &Caller,
    ) -> Result<Tokens, RefreshError> {
        let presented = self.refresh_key.open(token).ok_or(RefreshError::Invalid)?;
        let now = self.clock.now();
        let mint = self.mint(now).map_err(RefreshError::Fault)?;
        let outcome = self
            .store
            .refresh(
                presented,
                &self.policy.rotation,
                now,
                self.tokens_until(now),
            )
            .await
            .map_err(|error| RefreshError::Fault(error.into()))?;
        match outcome {
            RefreshOutcome::Refreshed(refreshed) => {
                let tokens = mint.tokens(&refreshed.session, &refreshed.user);
                let repeated = !refreshed.rotated;
                tokens
                    .map(|tokens| Tokens { repeated, ..tokens })
                    .map_err(RefreshError::Fault)
            }
            RefreshOutcome::Reused {
                user_id,
                announcements,
            } => {
                self.honour(&announcements);
                let session = presented.session;
                let request_id = &caller.request_id;
                tracing::warn!(user = %user_id, %session, request_id, "refresh token reused; session ended");
                Err(RefreshError::Reused)
            }
            RefreshOutcome::Dead(dead) => Err(dead.into()),
            RefreshOutcome::Unknown => Err(RefreshError::Invalid),
        }
    }
}
