//! Refresh tokens: derived from session and generation, never stored.
//!
//! `cs_rt_` + base64url(version 1 · key id 1 · session id 16 · generation 4, big endian · MAC 32),
//! where the MAC is HMAC-SHA-256 (RFC 2104) over all bytes before it. So garbage is refused
//! without asking a store, a stolen database holds nothing that works, a retry can be given the
//! same successor without it having been kept, and every older generation stays recognisable.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::ids::SessionId;
use crate::root_secret::{Purpose, RootSecret};

/// What every refresh token starts with, so that secret scanners find leaked ones.
pub const PREFIX: &str = "cs_rt_";

const VERSION: u8 = 1;
const BODY: usize = 1 + 1 + 16 + 4;
const RAW: usize = BODY + 32;

/// The text of a refresh token, on its way to the client. Wiped on drop; `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The token itself. Give it to the client it belongs to and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken")
    }
}

/// What a genuine refresh token says. Only [`RefreshKey::open`] makes one from a client's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The session it belongs to.
    pub session: SessionId,
    /// How many rotations the session had seen when the token was made.
    pub generation: u32,
}

/// The key that makes and recognises refresh tokens.
pub struct RefreshKey {
    id: u8,
    key: hmac::Key,
}

impl RefreshKey {
    /// Derives the key of an installation. The key id is a byte of the key's own fingerprint, which
    /// lets a later version tell the tokens of two root secrets apart.
    pub fn derive(root: &RootSecret) -> Self {
        let bytes = root.derive(Purpose::RefreshToken);
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref());
        let id = hmac::sign(&key, b"key id").as_ref().first().copied();
        Self {
            id: id.unwrap_or_default(),
            key,
        }
    }

    /// The token of a session's generation: the same one every time.
    pub fn issue(&self, session: SessionId, generation: u32) -> RefreshToken {
        let mut raw = Zeroizing::new(Vec::with_capacity(RAW));
        raw.extend_from_slice(&[VERSION, self.id]);
        raw.extend_from_slice(session.0.as_bytes());
        raw.extend_from_slice(&generation.to_be_bytes());
        let mac = hmac::sign(&self.key, &raw);
        raw.extend_from_slice(mac.as_ref());
        let mut text = String::with_capacity(PREFIX.len() + RAW.div_ceil(3) * 4);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(raw.as_slice(), &mut text);
        RefreshToken(Zeroizing::new(text))
    }

    /// Reads a client's text: `None` unless this key made exactly this text. The MAC is compared in
    /// constant time. 54 bytes fill 72 characters to the last bit, so no second spelling of a token exists.
    pub fn open(&self, text: &str) -> Option<Presented> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != RAW / 3 * 4 {
            return None;
        }
        let mut raw = [0; RAW];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut raw).ok()?;
        let (body, mac) = raw.get(..length)?.split_at_checked(BODY)?;
        let (&[version, key_id], rest) = body.split_first_chunk::<2>()?;
        if version != VERSION || key_id != self.id {
            return None;
        }
        hmac::verify(&self.key, body, mac).ok()?;
        let (session, generation) = rest.split_first_chunk::<16>()?;
        Some(Presented {
            session: SessionId(uuid::Uuid::from_bytes(*session)),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> RefreshKey {
        RefreshKey::derive(&RootSecret::new(vec![byte; 32]))
    }

    #[test]
    fn a_token_is_the_same_every_time_and_opens_to_what_it_was_made_of() {
        let session = SessionId::new([3; 16]);
        let token = key(1).issue(session, 42);
        assert_eq!(token, key(1).issue(session, 42));
        assert_eq!(token.expose().len(), 78);
        let presented = Presented {
            session,
            generation: 42,
        };
        assert_eq!(key(1).open(token.expose()), Some(presented));
        assert_eq!(format!("{token:?}"), "RefreshToken");
    }

    #[test]
    fn another_root_secret_refuses_it() {
        let token = key(1).issue(SessionId::new([3; 16]), 0);
        assert_eq!(key(2).open(token.expose()), None);
    }

    #[test]
    fn every_prefix_suffix_and_change_of_a_character_is_refused() {
        let key = key(1);
        let token = key.issue(SessionId::new([9; 16]), 7);
        let text = token.expose();
        for end in 0..text.len() {
            assert_eq!(key.open(&text[..end]), None);
            assert_eq!(key.open(&text[end + 1..]), None);
        }
        for extra in ["A", "=", " ", "\n", "\0"] {
            assert_eq!(key.open(&format!("{text}{extra}")), None);
            assert_eq!(key.open(&format!("{extra}{text}")), None);
        }
        for (at, old) in text.char_indices() {
            for new in [
                'A',
                'b',
                '-',
                '_',
                '=',
                '.',
                old.to_ascii_uppercase(),
                old.to_ascii_lowercase(),
            ] {
                let mut changed = text.to_owned();
                changed.replace_range(at..at + old.len_utf8(), &new.to_string());
                if changed != text {
                    assert_eq!(key.open(&changed), None, "{changed}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_opens(text in ".{0,100}") {
            prop_assert_eq!(key(1).open(&text), None);
            let prefixed = format!("{}{}", PREFIX, text);
            prop_assert_eq!(key(1).open(&prefixed), None);
        }

        #[test]
        fn round_trip(session: [u8; 16], generation: u32) {
            let session = SessionId::new(session);
            let token = key(1).issue(session, generation);
            prop_assert_eq!(key(1).open(token.expose()), Some(Presented { session, generation }));
        }
    }
}
