//! The root secret and the keys derived from it.

use std::fmt;

use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// The one secret that an installation is made of. Every key that Countersign needs at rest or in
/// tokens is derived from it, one label per use, so that no two uses share a key.
#[derive(Clone)]
pub struct RootSecret(Zeroizing<Vec<u8>>);

/// What a derived key is for. The texts are part of the stored format: changing one makes every
/// token or sealed key of an installation unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The MAC inside refresh tokens.
    RefreshToken,
    /// The MAC inside device tokens.
    DeviceToken,
    /// The keys under which limits are counted, so that no address is kept with them.
    Limits,
    /// Encryption of private signing keys at rest.
    SigningKeys,
    /// The MAC of audit events, the keys of their personal part, and what finds their addresses.
    Audit,
    /// The key that signs how far the audit log goes.
    AuditMarks,
    /// The value that tells whether a database belongs to this root secret.
    Fingerprint,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::RefreshToken => b"countersign refresh-token v1",
            Self::DeviceToken => b"countersign device-token v1",
            Self::Limits => b"countersign limits v1",
            Self::SigningKeys => b"countersign signing-keys v1",
            Self::Audit => b"countersign audit v1",
            Self::AuditMarks => b"countersign audit-marks v1",
            Self::Fingerprint => b"countersign fingerprint v1",
        }
    }
}

impl RootSecret {
    /// Wraps the secret's bytes. At least 32 bytes are expected; the settings see to that.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// 32 bytes for one purpose, by HKDF-SHA-256 (RFC 5869).
    pub fn derive(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, b"countersign").extract(&self.0);
        let label = [purpose.label()];
        // Both steps fail only for lengths over 255 times the hash's; 32 bytes is one hash.
        if let Ok(expanded) = extracted.expand(&label, hkdf::HKDF_SHA256)
            && expanded.fill(key.as_mut()).is_ok()
        {
            return key;
        }
        unreachable!("HKDF-SHA-256 gives 32 bytes")
    }
}

impl fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_do_not_share_keys_and_secrets_do_not_either() {
        let root = RootSecret::new(vec![7; 32]);
        let other = RootSecret::new(vec![8; 32]);
        let keys = [
            root.derive(Purpose::RefreshToken),
            root.derive(Purpose::DeviceToken),
            root.derive(Purpose::Limits),
            root.derive(Purpose::SigningKeys),
            root.derive(Purpose::Audit),
            root.derive(Purpose::AuditMarks),
            root.derive(Purpose::Fingerprint),
            other.derive(Purpose::RefreshToken),
        ];
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[i + 1..] {
                assert_ne!(a, b);
            }
        }
        assert_eq!(keys[0], root.derive(Purpose::RefreshToken));
    }
}
