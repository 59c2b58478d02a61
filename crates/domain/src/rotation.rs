//! The rotation decision: what one refresh token, presented now, is worth.
//!
//! One pure function, so that every backend decides alike and makes the outcome atomic in its own
//! way. Rotation with reuse detection follows RFC 9700, section 4.14.2; the grace period, in which
//! a token that was just exchanged gets its successor again, is what keeps a lost answer or two
//! tabs that refresh at once from signing an honest user out.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The part of a session that decides about refresh tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// The generation whose token is valid now.
    pub generation: u32,
    /// When that generation came to be.
    pub rotated_at: Timestamp,
    /// The session ends then unless it is refreshed before.
    pub idle_expires_at: Timestamp,
    /// The session ends then whatever happens.
    pub expires_at: Timestamp,
    /// Why the session has been ended, if it has been.
    pub ended: Option<EndReason>,
}

/// Why a session was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Its own sign-out.
    Logout,
    /// A sign-out of all, or of all others, from some session of the user.
    LogoutAll,
    /// Ended by its user from the list of sessions.
    Revoked,
    /// The password was changed elsewhere.
    PasswordChanged,
    /// An old refresh token was used again.
    Reuse,
    /// The account was disabled.
    UserDisabled,
    /// An operator ended it.
    Operator,
    /// It was the oldest of too many.
    TooMany,
    /// A signing key may have leaked, so every session of everybody was ended.
    Emergency,
    /// One that a newer version gives, and this one does not know. It has ended all the same. Never written.
    Unknown,
}

impl EndReason {
    /// The name in the database, in logs and in audit records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::Revoked => "revoked",
            Self::PasswordChanged => "password_changed",
            Self::Reuse => "reuse",
            Self::UserDisabled => "user_disabled",
            Self::Operator => "operator",
            Self::TooMany => "too_many",
            Self::Emergency => "emergency",
            Self::Unknown => "unknown",
        }
    }

    /// Reads such a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [EndReason; 9] = [
            EndReason::Logout,
            EndReason::LogoutAll,
            EndReason::Revoked,
            EndReason::PasswordChanged,
            EndReason::Reuse,
            EndReason::UserDisabled,
            EndReason::Operator,
            EndReason::TooMany,
            EndReason::Emergency,
        ];
        ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// The durations that bound a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// For how long after a rotation the token before it still gets the same successor. Zero turns
    /// this off; then every second use of a token is reuse.
    pub grace: SignedDuration,
    /// How long a session lives without a refresh.
    pub idle: SignedDuration,
}

/// What a presented token is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The valid token: the session moves on to generation `to`.
    Rotate {
        /// The generation to store and to answer with.
        to: u32,
        /// The token was ahead of the stored state: the state had been lost, and the genuine token
        /// itself is the proof of what was acknowledged.
        adopted: bool,
    },
    /// The token before the valid one, within the grace period: answer with the valid one again,
    /// change nothing.
    Repeat {
        /// The generation to answer with.
        generation: u32,
    },
    /// A token that had its turn: somebody holds a copy. The session must be closed.
    Reuse,
    /// The session is over; no token of it is worth anything.
    Dead(Dead),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dead {
    /// It was ended.
    Ended(EndReason),
    /// It was not refreshed for too long, or has reached its greatest age.
    Expired,
}

/// Decides about a genuine token of generation `presented` at `now`.
///
/// A clock that was stepped back makes the time since the last rotation negative; that counts as
/// within the grace period, since the other reading would sign out honest clients. The price is
/// that the grace period lasts longer by as much as the clock was stepped.
pub fn decide(
    state: &SessionState,
    presented: u32,
    now: Timestamp,
    policy: &RotationPolicy,
) -> Decision {
    if let Some(reason) = state.ended {
        return Decision::Dead(Dead::Ended(reason));
    }
    if now >= state.idle_expires_at || now >= state.expires_at {
        return Decision::Dead(Dead::Expired);
    }
    if presented >= state.generation {
        return match presented.checked_add(1) {
            Some(to) => Decision::Rotate {
                to,
                adopted: presented > state.generation,
            },
            None => Decision::Dead(Dead::Expired),
        };
    }
    let one_behind = state.generation - presented == 1;
    let within_grace =
        policy.grace > SignedDuration::ZERO && now.duration_since(state.rotated_at) <= policy.grace;
    if one_behind && within_grace {
        return Decision::Repeat {
            generation: state.generation,
        };
    }
    Decision::Reuse
}

impl SessionState {
    /// The state after a rotation to generation `to` at `now`. The idle expiry slides, and never
    /// past the absolute one.
    #[must_use]
    pub fn rotated(self, to: u32, now: Timestamp, policy: &RotationPolicy) -> Self {
        Self {
            generation: to,
            rotated_at: now,
            idle_expires_at: later(now, policy.idle).min(self.expires_at),
            ..self
        }
    }

    /// When the valid refresh token stops working if it is not used.
    pub fn refresh_expires_at(&self) -> Timestamp {
        self.idle_expires_at.min(self.expires_at)
    }
}

/// `now + duration`, or the last moment that can be written down.
pub fn later(now: Timestamp, duration: SignedDuration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RotationPolicy = RotationPolicy {
        grace: SignedDuration::from_secs(30),
        idle: SignedDuration::from_hours(24 * 30),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn state(generation: u32) -> SessionState {
        SessionState {
            generation,
            rotated_at: at(0),
            idle_expires_at: at(1000),
            expires_at: at(2000),
            ended: None,
        }
    }

    #[test]
    fn the_table() {
        let repeat = Decision::Repeat { generation: 5 };
        let rotate = |to, adopted| Decision::Rotate { to, adopted };
        let expired = Decision::Dead(Dead::Expired);
        for (presented, second, expected) in [
            (5, 10, rotate(6, false)),
            (4, 10, repeat),
            (4, 30, repeat),
            (4, 31, Decision::Reuse),
            (4, -600, repeat),
            (3, 10, Decision::Reuse),
            (0, 10, Decision::Reuse),
            (6, 10, rotate(7, true)),
            (900, 10, rotate(901, true)),
            (u32::MAX, 10, expired),
            (5, 999, rotate(6, false)),
            (5, 1000, expired),
            (3, 1000, expired),
        ] {
            assert_eq!(
                decide(&state(5), presented, at(second), &POLICY),
                expected,
                "{presented} at {second}"
            );
        }
    }

    #[test]
    fn an_ended_session_says_why_before_anything_else() {
        let ended = SessionState {
            ended: Some(EndReason::Logout),
            ..state(5)
        };
        for presented in [0, 4, 5, 6] {
            assert_eq!(
                decide(&ended, presented, at(5000), &POLICY),
                Decision::Dead(Dead::Ended(EndReason::Logout))
            );
        }
    }

    #[test]
    fn the_absolute_expiry_holds_even_where_the_idle_one_is_later() {
        let state = SessionState {
            idle_expires_at: at(3000),
            ..state(5)
        };
        assert_eq!(
            decide(&state, 5, at(2000), &POLICY),
            Decision::Dead(Dead::Expired)
        );
        assert_eq!(state.rotated(6, at(1), &POLICY).idle_expires_at, at(2000));
    }

    #[test]
    fn no_grace_means_every_second_use_is_reuse() {
        let policy = RotationPolicy {
            grace: SignedDuration::ZERO,
            ..POLICY
        };
        assert_eq!(decide(&state(5), 4, at(0), &policy), Decision::Reuse);
    }

    #[test]
    fn reasons_keep_their_names() {
        for name in [
            "logout",
            "logout_all",
            "revoked",
            "password_changed",
            "reuse",
            "user_disabled",
            "operator",
            "too_many",
        ] {
            assert_eq!(
                EndReason::from_name(name).map(EndReason::as_str),
                Some(name)
            );
        }
        assert_eq!(EndReason::from_name("other"), None);
    }
}
