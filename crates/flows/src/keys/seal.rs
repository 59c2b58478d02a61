use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use countersign_domain::root_secret::{Purpose, RootSecret};
use zeroize::Zeroizing;

/// Encrypts private keys at rest: AES-256-GCM (NIST SP 800-38D) under a key derived from the root
/// secret, bound to the key id, so that a row copied over another does not open.
pub(crate) struct Seal(RandomizedNonceKey);

/// The stored key was not sealed under this root secret, or has been changed.
#[derive(Debug, thiserror::Error)]
#[error("a stored signing key does not open with this root secret")]
pub(crate) struct DoesNotOpen;

impl Seal {
    pub(crate) fn derive(root: &RootSecret) -> Result<Self, DoesNotOpen> {
        let key = root.derive(Purpose::SigningKeys);
        let key = RandomizedNonceKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| DoesNotOpen)?;
        Ok(Self(key))
    }

    /// Nonce, then ciphertext with its tag.
    pub(crate) fn seal(&self, kid: &str, private: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
        let mut sealed = private.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(kid), &mut sealed)
            .map_err(|_| DoesNotOpen)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    pub(crate) fn open(&self, kid: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
        let (nonce, ciphertext) = sealed.split_at_checked(NONCE_LEN).ok_or(DoesNotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| DoesNotOpen)?;
        let mut private = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(kid), &mut private)
            .map_err(|_| DoesNotOpen)?
            .len();
        private.truncate(length);
        Ok(private)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: u8) -> Seal {
        Seal::derive(&RootSecret::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let sealed = seal(1).seal("kid", b"private").unwrap();
        assert_eq!(seal(1).open("kid", &sealed).unwrap().as_slice(), b"private");
        assert!(seal(2).open("kid", &sealed).is_err());
        assert!(seal(1).open("other", &sealed).is_err());
        for length in 0..sealed.len() {
            assert!(seal(1).open("kid", &sealed[..length]).is_err());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(seal(1).open("kid", &changed).is_err());
        }
    }

    #[test]
    fn sealing_twice_gives_different_texts() {
        let seal = seal(1);
        let once = seal.seal("kid", b"private").unwrap();
        assert_ne!(once, seal.seal("kid", b"private").unwrap());
        assert!(!once.windows(7).any(|part| part == b"private"));
    }
}
