use std::fmt;

use zeroize::Zeroizing;

use super::normal;

/// What somebody typed as their password, in NFC. Wiped from memory when dropped.
///
/// Making one never fails: one that was refused before it is hashed would be answered sooner, which shows what the
/// server does with a password for users who exist and for those who do not.
pub struct PresentedPassword(Option<Zeroizing<String>>);

impl PresentedPassword {
    /// Takes any text. One of more than 1,024 bytes (UTF-8, after NFC) matches no hash, and costs the same work as another.
    pub fn new(raw: &str) -> Self {
        Self(normal::normalise(raw))
    }

    /// The bytes to compare, or `None` when no hash may match.
    pub(super) fn as_bytes(&self) -> Option<&[u8]> {
        self.0.as_ref().map(|text| text.as_bytes())
    }
}

impl fmt::Debug for PresentedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedPassword")
    }
}
