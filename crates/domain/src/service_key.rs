//! Service keys: how a program that is no user shows what it may do.
//!
//! `cs_sk_` + base64url(32 random bytes). Stored is only its SHA-256. A password needs a slow hash because people choose few
//! of the passwords that there are; of 2^256 keys nobody finds one by trying, however quick a try is. And a hash
//! without a salt can be looked up.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize;

/// What every service key starts with, so that secret scanners find leaked ones.
pub const PREFIX: &str = "cs_sk_";

const RANDOM: usize = 32;

/// The longest name of a service key, in characters.
pub const MAX_NAME: usize = 64;

/// The text of a service key. `Debug` hides it.
pub struct ServiceKey(String);

impl ServiceKey {
    /// A key of these random bytes.
    pub fn new(mut random: [u8; RANDOM]) -> Self {
        let key = Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)));
        random.zeroize();
        key
    }

    /// The key itself, for whoever has just made it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored of it.
    pub fn hash(&self) -> ServiceKeyHash {
        ServiceKeyHash::of(&self.0)
    }
}

impl Drop for ServiceKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKey")
    }
}

/// The SHA-256 of a service key's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServiceKeyHash(pub [u8; 32]);

impl ServiceKeyHash {
    /// Of what a client presented. `None`: no service key looks like that.
    pub fn presented(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let right = random.len() == 43
            && random
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        right.then(|| Self::of(text))
    }

    fn of(text: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(hash)
    }
}

impl fmt::Debug for ServiceKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceKeyHash")
    }
}

/// What a service key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceScope {
    /// To follow what is revoked.
    Feed,
}

impl ServiceScope {
    /// Every scope.
    pub const ALL: &[ServiceScope] = &[Self::Feed];

    /// The name, as it is stored and written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
        }
    }
}

/// No scope of service keys has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be `feed`, the only scope that there is")]
pub struct UnknownScope;

impl FromStr for ServiceScope {
    type Err = UnknownScope;

    fn from_str(name: &str) -> Result<Self, UnknownScope> {
        let mut all = Self::ALL.iter();
        let scope = all.find(|scope| scope.as_str() == name);
        scope.copied().ok_or(UnknownScope)
    }
}

/// Whether a key may be called so: 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`, and not like an id.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && name.parse::<uuid::Uuid>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_by_its_hash_and_shown_nowhere() {
        let key = ServiceKey::new([0xfb; 32]);
        assert_eq!(key.expose().len(), 49);
        assert_eq!(ServiceKeyHash::presented(key.expose()), Some(key.hash()));
        assert_ne!(key.hash(), ServiceKey::new([0xfa; 32]).hash());
        assert_eq!(
            format!("{key:?} {:?}", key.hash()),
            "ServiceKey ServiceKeyHash"
        );
    }

    #[test]
    fn what_is_no_key_is_not_hashed() {
        let key = ServiceKey::new([7; 32]);
        let text = key.expose();
        for wrong in [
            "",
            "cs_sk_",
            &text[1..],
            &text[..48],
            &format!("{text}A"),
            &text.replace("cs_sk_", "CS_SK_"),
            &format!("{}+", &text[..48]),
        ] {
            assert_eq!(ServiceKeyHash::presented(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names() {
        for name in ["a", "orders-api.prod_2", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "a b",
            "ü",
            &"x".repeat(65),
            "01934f2e-7c1a-7b3e-9d52-3f1c2a4b5d6e",
        ] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!("feed".parse(), Ok(ServiceScope::Feed));
        assert_eq!("Feed".parse::<ServiceScope>(), Err(UnknownScope));
    }
}
