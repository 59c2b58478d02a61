//! E-mail addresses: as somebody typed them, and the key under which there is one account.

use std::fmt;

use email_address::{EmailAddress, Options};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

/// Most bytes of an address (RFC 5321, section 4.5.3.1.3: a path of 256 with its angle brackets).
const MAX_BYTES: usize = 254;
/// NFC never makes a string shorter than a third, so what is longer than this cannot fit.
const MAX_RAW_BYTES: usize = 4 * MAX_BYTES;

/// An address that mail can be sent to: one `local@domain`, without display name, quotes or address literal.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    typed: String,
    key: EmailKey,
}

/// What makes two addresses the same account: NFC, lower case, the domain in its ASCII form (UTS #46).
///
/// Letters that merely look alike stay different: no compatibility mapping touches the local part, so `mıke` and
/// `mike`, or `ﬁ` and `fi`, are two accounts, and mail for one never goes to the other.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailKey(String);

/// Why a text is not an [`Email`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EmailIssue {
    /// More than 254 bytes, as typed or as key.
    #[error("the e-mail address has more than 254 bytes")]
    TooLong,
    /// Not `local@domain`.
    #[error("the e-mail address is not of the form `name@example.org`")]
    Syntax,
    /// The part after the `@` is not a domain name with a dot.
    #[error("the e-mail address has no valid domain")]
    Domain,
}

impl Email {
    /// Reads one address; ASCII white space around it is ignored. Linear in its length.
    ///
    /// # Errors
    /// The first [`EmailIssue`] found.
    pub fn parse(raw: &str) -> Result<Self, EmailIssue> {
        let raw = raw.trim_ascii();
        if raw.len() > MAX_RAW_BYTES {
            return Err(EmailIssue::TooLong);
        }
        let typed: String = raw.nfc().collect();
        if typed.len() > MAX_BYTES {
            return Err(EmailIssue::TooLong);
        }
        if typed.chars().any(is_forbidden) {
            return Err(EmailIssue::Syntax);
        }
        let (local, domain) = typed.split_once('@').ok_or(EmailIssue::Syntax)?;
        if domain.contains('@') {
            return Err(EmailIssue::Syntax);
        }
        let domain = ascii_domain(domain)?;
        let options = Options::default()
            .with_required_tld()
            .without_display_text()
            .without_domain_literal();
        EmailAddress::parse_with_options(&format!("{local}@{domain}"), options)
            .map_err(|_| EmailIssue::Syntax)?;

        let local: String = local.to_lowercase().nfc().collect();
        let key = format!("{local}@{domain}");
        if key.len() > MAX_BYTES {
            return Err(EmailIssue::TooLong);
        }
        Ok(Self {
            typed,
            key: EmailKey(key),
        })
    }

    /// The address to show and to send mail to: trimmed, in NFC, upper and lower case as typed.
    pub fn as_typed(&self) -> &str {
        &self.typed
    }

    /// The key that is unique among accounts.
    pub fn key(&self) -> &EmailKey {
        &self.key
    }
}

impl EmailKey {
    /// The key as text, at most 254 bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// An address is personal data: it must not reach a log by way of `{:?}`.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

impl fmt::Debug for EmailKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailKey")
    }
}

/// What could make two addresses of one, break a header line, or start a quoted local part.
fn is_forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || matches!(c, ',' | ';' | '"' | '<' | '>')
}

fn ascii_domain(domain: &str) -> Result<String, EmailIssue> {
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| EmailIssue::Domain)?;
    let (_, last) = ascii.rsplit_once('.').ok_or(EmailIssue::Domain)?;
    // No top-level domain is a number: this is an IPv4 address without its brackets.
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EmailIssue::Domain);
    }
    Ok(ascii.into_owned())
}
