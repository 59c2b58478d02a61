use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A signature algorithm of RFC 7518 §3.1 or RFC 8037 §3.1. There is no `none`, and no algorithm family: a key has one algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSA PKCS #1 v1.5 with SHA-256, modulus of 2048 to 8192 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// HMAC with SHA-256. Whoever can verify can also sign: only for services that belong together.
    #[serde(rename = "HS256")]
    Hs256,
}

impl Algorithm {
    /// The `alg` value: `EdDSA`, `ES256`, `RS256` or `HS256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is not the name of an [`Algorithm`]. Names are case-sensitive (RFC 7515 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownAlgorithm;

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected one of `EdDSA`, `ES256`, `RS256`, `HS256`")
    }
}

impl std::error::Error for UnknownAlgorithm {}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        match name {
            "EdDSA" => Ok(Self::EdDsa),
            "ES256" => Ok(Self::Es256),
            "RS256" => Ok(Self::Rs256),
            "HS256" => Ok(Self::Hs256),
            _ => Err(UnknownAlgorithm),
        }
    }
}
