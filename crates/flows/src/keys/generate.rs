use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use countersign_token::Algorithm;
use zeroize::Zeroizing;

use crate::fault::Fault;

/// A new private key as PKCS #8. The key material comes from AWS-LC's generator, which cannot be
/// seeded; tests that need fixed keys install their own.
pub(crate) fn generate(algorithm: Algorithm) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let failed = |_| Fault::Signing(format!("making a key for {algorithm} failed"));
    let document = match algorithm {
        Algorithm::EdDsa => {
            let key = Ed25519KeyPair::generate().map_err(failed)?;
            key.to_pkcs8().map_err(failed)?.as_ref().to_vec()
        }
        Algorithm::Es256 => {
            let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            key.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
        Algorithm::Rs256 => {
            let key = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            key.as_der().map_err(failed)?.as_ref().to_vec()
        }
        Algorithm::Hs256 => {
            return Err(Fault::Signing(
                "HS256 takes its key from the settings".to_owned(),
            ));
        }
    };
    Ok(Zeroizing::new(document))
}
