use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use super::{MIN_CHARACTERS, common, normal};

/// A password that may be chosen: in NFC, 8 characters to 1,024 bytes, not a common one.
///
/// Wiped from memory when dropped.
pub struct NewPassword(Zeroizing<String>);

/// Why a password may not be chosen.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PasswordIssue {
    /// Fewer than 8 characters (Unicode scalar values after NFC).
    #[error("the password has fewer than 8 characters")]
    TooShort,
    /// More than 1,024 bytes of UTF-8 after NFC.
    #[error("the password has more than 1,024 bytes")]
    TooLong,
    /// On the shipped list of common passwords, in any mix of upper and lower case.
    #[error("the password is one of the most common ones")]
    Common,
}

impl NewPassword {
    /// Checks a password that somebody wants to have from now on.
    ///
    /// # Errors
    /// The first [`PasswordIssue`] found, length before list.
    pub fn parse(raw: &str) -> Result<Self, PasswordIssue> {
        let text = normal::normalise(raw).ok_or(PasswordIssue::TooLong)?;
        if text.chars().take(MIN_CHARACTERS).count() < MIN_CHARACTERS {
            return Err(PasswordIssue::TooShort);
        }
        if common::contains(&text) {
            return Err(PasswordIssue::Common);
        }
        Ok(Self(text))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPassword")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_common_ones() {
        let table = [
            ("", Err(PasswordIssue::TooShort)),
            ("seven77", Err(PasswordIssue::TooShort)),
            ("qZ8#vvvv", Ok(())),
            // Decomposed: 14 scalar values that compose to 7.
            (
                "e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}e\u{301}",
                Err(PasswordIssue::TooShort),
            ),
            ("éééééééé", Ok(())),
            ("🦀🦀🦀🦀🦀🦀🦀🦀", Ok(())),
            ("password", Err(PasswordIssue::Common)),
            ("PassWord", Err(PasswordIssue::Common)),
            ("12345678", Err(PasswordIssue::Common)),
            ("password\0", Ok(())),
            ("        ", Ok(())),
        ];
        for (raw, expected) in table {
            assert_eq!(NewPassword::parse(raw).map(|_| ()), expected, "{raw:?}");
        }
        let longest = "aB3$".repeat(256);
        assert!(NewPassword::parse(&longest).is_ok());
        assert_eq!(
            NewPassword::parse(&(longest + "x")).map(|_| ()),
            Err(PasswordIssue::TooLong)
        );
    }

    #[test]
    fn debug_shows_no_password() {
        let password = NewPassword::parse("correct horse").unwrap();
        assert_eq!(format!("{password:?}"), "NewPassword");
    }
}
