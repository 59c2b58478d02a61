use std::fmt;
use std::str::FromStr;

/// How what was tried came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

impl Outcome {
    /// The name in the database and in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// No kind of event has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of audit event is called `{0}`")]
pub struct UnknownKind(pub String);

macro_rules! kinds {
    ($($kind:ident $name:literal $outcome:ident $text:literal;)+) => {
        /// What happened. The names are part of the stored format and of the API: they never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $text] $kind,)+
        }

        impl Kind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Kind] = &[$(Kind::$kind),+];

            /// The name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// A sentence about it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$kind => $text,)+ }
            }

            /// How it came out.
            pub fn outcome(self) -> Outcome {
                match self { $(Self::$kind => Outcome::$outcome,)+ }
            }
        }
    };
}

kinds! {
    UserRegistered "user.registered" Success "Somebody registered.";
    UserCreated "user.created" Success "An operator created a user.";
    UserChanged "user.changed" Success "A user's name or e-mail address was changed; `changed` names the fields.";
    RolesChanged "user.roles_changed" Success "A user's roles were changed, from `roles_before` to `roles`.";
    UserDisabled "user.disabled" Success "An account was disabled, and all its sessions ended.";
    UserEnabled "user.enabled" Success "A disabled account was enabled.";
    UserDeleted "user.deleted" Success "A user was deleted, and the personal part of the user's events made unreadable.";
    LoginSucceeded "login.succeeded" Success "Somebody signed in.";
    LoginFailed "login.failed" Failure "A sign-in was refused; the reason says why.";
    PasswordChanged "password.changed" Success "A user changed the password; all other sessions ended.";
    PasswordSet "password.set" Success "An operator set a user's password; all sessions ended.";
    PasswordRefused "password.refused" Failure "A signed-in user was asked for the password again and gave a wrong one.";
    TokenRefreshed "token.refreshed" Success "A session was refreshed; the reason tells a retry (`repeated`) from the first time.";
    ReuseDetected "session.reuse_detected" Failure "A refresh token was used again after its turn, so somebody held a copy; the session was ended.";
    SessionExpired "session.expired" Failure "The token of a session that had expired was presented; recorded once a session.";
    LoggedOut "session.logged_out" Success "A user signed out of one session, of all, or of all others; `scope` says which.";
    SessionRevoked "session.revoked" Success "A session was ended by its user from another one, or by an operator.";
    SessionsRevoked "session.all_revoked" Success "An operator ended all sessions of a user.";
    LimitReached "limit.reached" Failure "A limit refused somebody, for the first time in its window.";
    KeyMade "key.made" Success "The server made its first signing key, or the first of a newly set algorithm.";
    KeyRotated "key.rotated" Success "The next signing key was made.";
    KeyEmergency "key.emergency" Success "All signing keys were dropped at once, and every session of everybody ended.";
    ServiceKeyCreated "service_key.created" Success "A service key was made; `name` and `scopes` say which.";
    ServiceKeyRevoked "service_key.revoked" Success "A service key was revoked.";
    ServerStarted "server.started" Success "An instance started.";
    SettingsChanged "settings.changed" Success "An instance started with other settings than the one that started before it; `changed` names them.";
    AuditCut "audit.cut" Success "Events older than the retention time were verified and removed.";
}

impl Kind {
    /// Whether events of this kind are found by the client's address. Refreshes are not: there are so many that
    /// erasing a user could not take them all out at once; they are found by their session.
    pub fn found_by_address(self) -> bool {
        self != Self::TokenRefreshed
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.iter();
        let kind = all.find(|kind| kind.as_str() == name);
        kind.copied().ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_no_two_are_alike() {
        for (i, kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert!(
                Kind::ALL[i + 1..]
                    .iter()
                    .all(|k| k.as_str() != kind.as_str())
            );
        }
        assert!("login".parse::<Kind>().is_err());
    }

    #[test]
    fn documentation_has_all_of_them() {
        let text = include_str!("../../../../docs/audit.md");
        let mut table = "| kind | outcome | |\n|---|---|---|\n".to_owned();
        for kind in Kind::ALL {
            let (outcome, meaning) = (kind.outcome().as_str(), kind.meaning());
            table.push_str(&format!("| `{kind}` | {outcome} | {meaning} |\n"));
        }
        assert!(
            text.contains(&table),
            "docs/audit.md must contain:\n{table}"
        );
    }
}
