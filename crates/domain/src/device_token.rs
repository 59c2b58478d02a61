//! Device tokens: how a device shows that its user has signed in on it before.
//!
//! `cs_dev_` + base64url(version 1 · user id 16 · device id 16 · issued at 8, seconds, big endian ·
//! password stamp 8 · MAC 32), where the MAC is HMAC-SHA-256 (RFC 2104) over all bytes before it.
//! Nothing about a device is stored. The token authenticates nobody: all that it gives is a budget
//! of its own for wrong passwords.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::ids::{SessionId, UserId};
use crate::root_secret::{Purpose, RootSecret};
use crate::rotation::later;

/// What every device token starts with, so that secret scanners find leaked ones.
pub const PREFIX: &str = "cs_dev_";

/// How long a device is known after its last sign-in: as long as a browser keeps a cookie
/// (draft-ietf-httpbis-rfc6265bis, section 5.5).
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(400 * 24);

const VERSION: u8 = 1;
const BODY: usize = 1 + 16 + 16 + 8 + 8;
const RAW: usize = BODY + 32;

/// The text of a device token. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceToken(String);

impl DeviceToken {
    /// The token itself, for the client that has signed in.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken")
    }
}

/// Which device it is. The same through all tokens that the device is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeviceId(pub [u8; 16]);

/// What a genuine, unexpired device token says. Only [`DeviceKey::open`] makes one from a client's
/// text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownDevice {
    /// Who signed in on it.
    pub user: UserId,
    /// Which device it is.
    pub id: DeviceId,
    stamp: [u8; 8],
}

/// The key that makes and recognises device tokens.
pub struct DeviceKey(hmac::Key);

impl DeviceKey {
    /// Derives the key of an installation.
    pub fn derive(root: &RootSecret) -> Self {
        let bytes = root.derive(Purpose::DeviceToken);
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_ref()))
    }

    /// The id of a device whose first sign-in opened this session. Session ids are random, so
    /// device ids are too, and nobody can tell one from the other.
    pub fn new_id(&self, session: SessionId) -> DeviceId {
        DeviceId(self.cut(b"device id", session.0.as_bytes()))
    }

    /// The token of a device on which a user has signed in, with the password that has this hash.
    pub fn issue(
        &self,
        user: UserId,
        id: DeviceId,
        password_hash: &str,
        now: Timestamp,
    ) -> DeviceToken {
        let mut raw = Vec::with_capacity(RAW);
        raw.push(VERSION);
        raw.extend_from_slice(user.0.as_bytes());
        raw.extend_from_slice(&id.0);
        raw.extend_from_slice(&now.as_second().to_be_bytes());
        raw.extend_from_slice(&self.stamp(password_hash));
        let mac = hmac::sign(&self.0, &raw);
        raw.extend_from_slice(mac.as_ref());
        let mut text = String::from(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&raw, &mut text);
        DeviceToken(text)
    }

    /// Reads a client's text: `None` unless this key made exactly this text within the last 400
    /// days. The MAC is compared in constant time. 81 bytes fill 108 characters to the last bit, so
    /// no second spelling of a token exists.
    pub fn open(&self, text: &str, now: Timestamp) -> Option<KnownDevice> {
        let encoded = text.strip_prefix(PREFIX)?;
        if encoded.len() != RAW / 3 * 4 {
            return None;
        }
        let mut raw = [0; RAW];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut raw).ok()?;
        let (body, mac) = raw.get(..length)?.split_at_checked(BODY)?;
        hmac::verify(&self.0, body, mac).ok()?;
        let (&[version], rest) = body.split_first_chunk::<1>()?;
        let (user, rest) = rest.split_first_chunk::<16>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (issued_at, stamp) = rest.split_first_chunk::<8>()?;
        let issued_at = Timestamp::from_second(i64::from_be_bytes(*issued_at)).ok()?;
        // One from the future was issued before the clock was set back.
        if version != VERSION || now >= later(issued_at, LIFETIME) {
            return None;
        }
        Some(KnownDevice {
            user: UserId(Uuid::from_bytes(*user)),
            id: DeviceId(*id),
            stamp: stamp.try_into().ok()?,
        })
    }

    /// Whether the user still has the password of that sign-in. After a change of password nothing
    /// that was known before it counts: whoever held the old password may have collected any number of tokens.
    pub fn is_current(&self, device: &KnownDevice, password_hash: &str) -> bool {
        device.stamp == self.stamp(password_hash)
    }

    fn stamp(&self, password_hash: &str) -> [u8; 8] {
        self.cut(b"password stamp", password_hash.as_bytes())
    }

    /// The first bytes of a MAC. A token's own begins with its version, so a label is none.
    fn cut<const N: usize>(&self, label: &[u8], data: &[u8]) -> [u8; N] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(label);
        context.update(&[0]);
        context.update(data);
        let mut bytes = [0; N];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        bytes
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "$2b$04$one";

    fn key(byte: u8) -> DeviceKey {
        DeviceKey::derive(&RootSecret::new(vec![byte; 32]))
    }

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * 86_400).unwrap()
    }

    fn user() -> UserId {
        UserId::new(at(0), [5; 10])
    }

    #[test]
    fn a_token_opens_to_what_it_was_made_of_for_400_days() {
        let key = key(1);
        let id = key.new_id(SessionId::new([3; 16]));
        assert_ne!(id, key.new_id(SessionId::new([4; 16])));
        let token = key.issue(user(), id, HASH, at(0));
        assert_eq!(token.expose().len(), 115);
        assert_eq!(format!("{token:?}"), "DeviceToken");
        for day in [-10, 0, 399] {
            let device = key.open(token.expose(), at(day)).unwrap();
            assert_eq!((device.user, device.id), (user(), id));
            assert!(key.is_current(&device, HASH));
            assert!(!key.is_current(&device, "$2b$04$two"));
        }
        assert_eq!(key.open(token.expose(), at(400)), None);
    }

    #[test]
    fn another_root_secret_refuses_it() {
        let token = key(1).issue(user(), DeviceId([3; 16]), HASH, at(0));
        assert_eq!(key(2).open(token.expose(), at(0)), None);
    }

    #[test]
    fn every_prefix_and_every_change_of_a_character_is_refused() {
        let key = key(1);
        let token = key.issue(user(), DeviceId([9; 16]), HASH, at(0));
        let text = token.expose();
        for end in 0..text.len() {
            assert_eq!(key.open(&text[..end], at(0)), None);
            assert_eq!(key.open(&text[end + 1..], at(0)), None);
        }
        for (at_char, old) in text.char_indices() {
            for new in ['A', 'b', '-', '_', '=', old.to_ascii_uppercase()] {
                let mut changed = text.to_owned();
                changed.replace_range(at_char..at_char + 1, &new.to_string());
                assert_eq!(key.open(&changed, at(0)).is_some(), changed == text);
            }
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_opens(text in ".{0,150}") {
            prop_assert_eq!(key(1).open(&text, at(0)), None);
            let prefixed = format!("{}{}", PREFIX, text);
            prop_assert_eq!(key(1).open(&prefixed, at(0)), None);
        }
    }
}
