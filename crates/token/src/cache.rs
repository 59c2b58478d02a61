use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use quick_cache::{Equivalent, sync::Cache};

use crate::{Claims, KeySet, Refusal, Verifier};

/// Remembers tokens whose signature was right, so that the same token costs a look-up the next time.
///
/// What depends on the time or on the verifier (issuer, audience, `exp`, `nbf`, `iat`, the longest lifetime) is checked on every call. A revocation is
/// not known here: ask the [`RevocationSet`](crate::RevocationSet) after every call, hit or not.
///
/// Only accepted tokens are kept, so nobody without a valid token can put anything in. An entry takes the token's own length (at most 8 KiB, usually about
/// 600 bytes) plus about as much for its claims. Expired tokens stay until newer ones push them out.
#[derive(Debug)]
pub struct TokenCache {
    entries: Cache<CachedToken, Arc<Claims>>,
}

impl TokenCache {
    /// A cache of about `capacity` tokens; 0 counts as 1.
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: Cache::new(capacity.max(1)),
        }
    }

    /// The same verdict as [`Verifier::verify`], from memory where this very token has been accepted under this very key set before.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(
        &self,
        verifier: &Verifier,
        keys: &KeySet,
        token: &str,
        now: i64,
    ) -> Result<Arc<Claims>, Refusal> {
        let presented = PresentedToken {
            key_set: keys.generation(),
            token,
        };
        if let Some(claims) = self.entries.get(&presented) {
            verifier.check(&claims, now)?;
            return Ok(claims);
        }
        let claims = Arc::new(verifier.verify(keys, token, now)?);
        let entry = CachedToken {
            key_set: presented.key_set,
            token: token.into(),
        };
        self.entries.insert(entry, Arc::clone(&claims));
        Ok(claims)
    }

    /// How many tokens are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[derive(Debug, PartialEq, Eq)]
struct CachedToken {
    key_set: u64,
    token: Box<str>,
}

struct PresentedToken<'t> {
    key_set: u64,
    token: &'t str,
}

impl Hash for CachedToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_signature(&self.token, state);
    }
}

impl Hash for PresentedToken<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_signature(self.token, state);
    }
}

impl Equivalent<CachedToken> for PresentedToken<'_> {
    /// The whole token: two tokens that share a hash must never share claims.
    fn equivalent(&self, entry: &CachedToken) -> bool {
        self.key_set == entry.key_set && *self.token == *entry.token
    }
}

/// The hash covers the end of the signature only, which no two accepted tokens share but by chance; hashing all of the token would take longer
/// than everything else about a hit.
fn hash_signature<H: Hasher>(token: &str, state: &mut H) {
    match token.as_bytes().last_chunk::<32>() {
        Some(end) => state.write(end),
        None => state.write(token.as_bytes()),
    }
}
