//! What becomes of sessions and of access tokens from before: the one table of it. A front-door test has a row for each.

use std::fmt::Write as _;

/// Which sessions an event ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ends {
    /// None.
    None,
    /// The one that it is about.
    One,
    /// All of the user but the acting one.
    Others,
    /// All of the user.
    All,
    /// All of everybody.
    Everybodys,
}

impl Ends {
    /// As the documentation has it.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::One => "that one",
            Self::Others => "the user's others",
            Self::All => "all of the user",
            Self::Everybodys => "everybody's",
        }
    }
}

/// What becomes of the access tokens from before whose sessions go on. Those of ended sessions are always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessTokens {
    /// They stay as good as they were.
    Kept,
    /// They are refused with the code `token_outdated`; a refresh gives one that is good.
    Outdated,
}

macro_rules! events {
    ($($event:ident $ends:ident $tokens:ident $text:literal;)+) => {
        /// Something that sessions depend on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SecurityEvent {
            $(#[doc = $text] $event,)+
        }

        impl SecurityEvent {
            /// All of them, in the order of the documentation.
            pub const ALL: &[SecurityEvent] = &[$(SecurityEvent::$event),+];

            /// What happens.
            pub fn text(self) -> &'static str {
                match self { $(Self::$event => $text,)+ }
            }

            /// Which sessions it ends.
            pub fn ends(self) -> Ends {
                match self { $(Self::$event => Ends::$ends,)+ }
            }

            /// What becomes of the other access tokens.
            pub fn access_tokens(self) -> AccessTokens {
                match self { $(Self::$event => AccessTokens::$tokens,)+ }
            }
        }
    };
}

events! {
    PasswordChanged Others Kept "The user changes the password";
    PasswordSet All Kept "An operator sets the password";
    UserDisabled All Kept "The account is disabled";
    UserEnabled None Kept "The account is enabled";
    UserDeleted All Kept "The account is deleted";
    RolesChanged None Outdated "The roles are changed";
    NameChanged None Kept "The name is changed";
    EmailChanged None Kept "The e-mail address is changed";
    LogoutLocal One Kept "Sign-out";
    LogoutGlobal All Kept "Sign-out of all sessions";
    LogoutOthers Others Kept "Sign-out of all other sessions";
    SessionRevoked One Kept "The user ends a session from another one";
    SessionRevokedByOperator One Kept "An operator ends a session";
    SignedOutByOperator All Kept "An operator signs the user out";
    ReuseDetected One Kept "A used refresh token is used again";
    TooManySessions One Kept "A sign-in is one too many: it ends the oldest session";
    SessionExpired One Kept "A session idles out, or reaches its greatest age";
    KeyRotated None Kept "The signing key is rotated as planned";
    KeyEmergency Everybodys Kept "The signing keys are dropped in an emergency";
}

/// The table as Markdown, for the documentation.
pub fn markdown() -> String {
    let mut table =
        "| event | sessions it ends | access tokens of the others |\n|---|---|---|\n".to_owned();
    for event in SecurityEvent::ALL {
        let others = match (event.ends(), event.access_tokens()) {
            (Ends::All | Ends::Everybodys, _) => "—",
            (_, AccessTokens::Kept) => "stay good",
            (_, AccessTokens::Outdated) => {
                "refused with `token_outdated`: a refresh gives a new one"
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {others} |",
            event.text(),
            event.ends().text()
        );
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn documentation_has_this_table() {
        let text = include_str!("../../../docs/security.md");
        let table = super::markdown();
        assert!(
            text.contains(&table),
            "docs/security.md must contain:\n{table}"
        );
    }
}
