use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use jiff::Timestamp;
use zeroize::Zeroize;

use super::Kind;
use super::event::{Details, Draft, Personal, Row};
use crate::address::AddressBlock;
use crate::root_secret::{Purpose, RootSecret};
use crate::{EventId, SessionId, UserId};

/// What a user's key is made of, together with the root secret. Stored with the user alone:
/// deleting the user destroys it.
#[derive(Clone, PartialEq, Eq)]
pub struct Salt(pub [u8; 16]);

impl Drop for Salt {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt")
    }
}

/// By what events from one address are found, and nobody without the root secret learns the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressTag(pub [u8; 16]);

/// What the audit log is written with: the keys of an installation for it.
pub struct Ink {
    mac: hmac::Key,
    people: hmac::Key,
    addresses: hmac::Key,
    pub(super) marks: Ed25519KeyPair,
}

impl fmt::Debug for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ink")
    }
}

impl Ink {
    /// The ink of an installation.
    pub fn derive(root: &RootSecret) -> Self {
        let audit = hmac::Key::new(hmac::HMAC_SHA256, root.derive(Purpose::Audit).as_ref());
        let part =
            |label: &[u8]| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&audit, label).as_ref());
        let seed = root.derive(Purpose::AuditMarks);
        let Ok(marks) = Ed25519KeyPair::from_seed_unchecked(seed.as_ref()) else {
            unreachable!("every 32 bytes are a seed of Ed25519 (RFC 8032, section 5.1.5)")
        };
        Self {
            mac: part(b"rows"),
            people: part(b"personal"),
            addresses: part(b"addresses"),
            marks,
        }
    }

    /// The Ed25519 key (RFC 8032) that marks can be checked with, by anybody.
    pub fn public_key(&self) -> &[u8] {
        self.marks.public_key().as_ref()
    }

    /// Writes an event down. `salt` is the user's; without one, because the user is gone, nothing personal is
    /// kept. What happened to nobody known is encrypted under a key of the installation.
    pub fn write(&self, draft: &Draft, salt: Option<&Salt>) -> Row {
        let personal = match (draft.user, salt) {
            (Some(_), None) => Vec::new(),
            (Some(_), Some(salt)) => self.seal(draft, Some(salt)),
            (None, _) => self.seal(draft, None),
        };
        let kept = !personal.is_empty();
        let at = Timestamp::from_microsecond(draft.at.as_microsecond()).unwrap_or(draft.at);
        let mut row = Row {
            id: draft.id,
            at,
            kind: draft.kind.as_str().to_owned(),
            outcome: draft.kind.outcome().as_str().to_owned(),
            reason: draft.reason.map(str::to_owned),
            by: draft.by.to_string(),
            user: draft.user,
            session: draft.session,
            details: details_text(&draft.details),
            address: draft
                .personal
                .ip
                .filter(|_| kept && draft.kind.found_by_address())
                .map(|ip| self.tag(ip)),
            personal,
            mac: [0; 32],
        };
        let mac = hmac::sign(&self.mac, &row.digest());
        row.mac.copy_from_slice(mac.as_ref());
        row
    }

    /// Whether this installation wrote the row, and nobody has changed it.
    pub fn wrote(&self, row: &Row) -> bool {
        hmac::verify(&self.mac, &row.digest(), &row.mac).is_ok()
    }

    /// The personal part. `None`: there is none, or it has been erased.
    pub fn read(&self, row: &Row, salt: Option<&Salt>) -> Option<Personal> {
        if row.personal.is_empty() || (row.user.is_some() && salt.is_none()) {
            return None;
        }
        let key = self.event_key(
            row.id.0.as_bytes(),
            row.user,
            salt.filter(|_| row.user.is_some()),
        )?;
        let mut text = row.personal.clone();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let text = key.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        serde_json::from_slice(text).ok()
    }

    /// Whether the event can be read, and is found by the address that it tells of; of an erased user nobody can tell. The
    /// tag is not under the MAC, so this has to be asked besides [`Ink::wrote`].
    pub fn agrees(&self, row: &Row, salt: Option<&Salt>) -> bool {
        if row.user.is_some() && salt.is_none() {
            return true;
        }
        let personal = self.read(row, salt);
        let readable = personal.is_some() || row.personal.is_empty();
        let address = personal.and_then(|personal| personal.ip);
        let tag = address.map(|ip| self.tag(ip));
        let as_it_must_be = match row.kind.parse().map(Kind::found_by_address) {
            Ok(true) => row.address == tag,
            Ok(false) => row.address.is_none(),
            // A newer version wrote it, and knows whether it is found by its address.
            Err(_) => row.address.is_none() || row.address == tag,
        };
        readable && as_it_must_be
    }

    /// By what events from this address, or from its block, are found.
    pub fn tag(&self, ip: IpAddr) -> AddressTag {
        let mut tag = [0; 16];
        let mac = hmac::sign(&self.addresses, AddressBlock::of(ip).bytes());
        for (to, from) in tag.iter_mut().zip(mac.as_ref()) {
            *to = *from;
        }
        AddressTag(tag)
    }

    /// The id of the event that says that a session has expired: always the same one, so that it
    /// is recorded once, and can be named without asking a store.
    pub fn expiry_of(&self, session: SessionId) -> EventId {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(b"expired\0");
        context.update(session.0.as_bytes());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        EventId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// By what two texts can be compared, without keeping them.
    pub fn fingerprint(&self, text: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.addresses);
        context.update(b"text\0");
        context.update(text);
        let mac = context.sign();
        let short = mac.as_ref().iter().take(8);
        short.map(|byte| format!("{byte:02x}")).collect()
    }

    fn seal(&self, draft: &Draft, salt: Option<&Salt>) -> Vec<u8> {
        if draft.personal == Personal::default() {
            return Vec::new();
        }
        let Some(key) = self.event_key(draft.id.0.as_bytes(), draft.user, salt) else {
            return Vec::new();
        };
        let mut text = serde_json::to_vec(&draft.personal).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        match key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text) {
            Ok(()) => text,
            Err(_) => Vec::new(),
        }
    }

    /// The key of one event: no other text is ever encrypted under it, so its nonce may be constant, and writing
    /// the same event twice gives the same row.
    fn event_key(
        &self,
        id: &[u8],
        user: Option<UserId>,
        salt: Option<&Salt>,
    ) -> Option<LessSafeKey> {
        let mut context = hmac::Context::with_key(&self.people);
        match (user, salt) {
            (Some(user), Some(salt)) => {
                context.update(b"user\0");
                context.update(user.0.as_bytes());
                context.update(&salt.0);
            }
            _ => context.update(b"nobody\0"),
        }
        context.update(id);
        let key = UnboundKey::new(&AES_256_GCM, context.sign().as_ref()).ok()?;
        Some(LessSafeKey::new(key))
    }
}

fn details_text(details: &Details) -> String {
    serde_json::to_string(details).unwrap_or_else(|_| "{}".to_owned())
}
