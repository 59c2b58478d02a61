//! What a token says before its signature is checked. Nothing here may leave the crate.

use std::borrow::Cow;

use crate::{
    KeySet, Refusal, VerificationKey,
    encoding::{decode, decode_into},
    json::{self, Member},
};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest header that is looked at, in bytes of base64url. An ordinary header has about 110.
pub const MAX_HEADER_BYTES: usize = 1024;

/// The three parts of a JWS in compact serialisation (RFC 7515 §7.1), nothing decoded.
pub(crate) struct UnverifiedToken<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    signed: &'t str,
}

impl<'t> UnverifiedToken<'t> {
    /// A fourth part ends up in `signature`, where its dot is no base64url: JWE's five parts need no rule of their own.
    pub(crate) fn split(token: &'t str) -> Result<Self, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let (header, rest) = token.split_once('.').ok_or(Refusal::Malformed)?;
        let (payload, signature) = rest.split_once('.').ok_or(Refusal::Malformed)?;
        let signed = token
            .get(..header.len() + 1 + payload.len())
            .ok_or(Refusal::Malformed)?;
        Ok(Self {
            header,
            payload,
            signature,
            signed,
        })
    }

    /// The key that the header names, after every rule on headers.
    pub(crate) fn key<'k>(&self, keys: &'k KeySet) -> Result<&'k VerificationKey, Refusal> {
        if self.header.len() > MAX_HEADER_BYTES {
            return Err(Refusal::TooLong);
        }
        // Byte for byte the header that we write for this key needs no reading.
        if let Some(key) = keys.with_header(self.header) {
            return Ok(key);
        }
        let json = decode(self.header)?;
        UnverifiedHeader::read(&json)?.key(keys)
    }

    /// The payload's bytes, signed by `key`. `small` and `large` are the caller's scratch space.
    pub(crate) fn signed_payload<'b>(
        &self,
        key: &VerificationKey,
        small: &'b mut [u8],
        large: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], Refusal> {
        // 64 bytes hold every signature but RSA's; the estimate of `decode_into` rounds up to 66.
        let (mut short, mut long) = ([0; 66], Vec::new());
        let signature = decode_into(self.signature, &mut short, &mut long)?;
        key.check(self.signed.as_bytes(), signature)?;
        decode_into(self.payload, small, large)
    }
}

struct UnverifiedHeader<'a> {
    alg: Cow<'a, str>,
    kid: Cow<'a, str>,
}

impl<'a> UnverifiedHeader<'a> {
    /// Members other than these are ignored (RFC 7515 §4), above all those that would bring their own key: `jwk`, `jku`, `x5c`, `x5u`.
    fn read(json: &'a [u8]) -> Result<Self, Refusal> {
        let [alg, typ, kid, crit] = json::object(json, &["alg", "typ", "kid", "crit"])?;
        if crit.is_some() {
            return Err(Refusal::CriticalHeader);
        }
        match typ {
            Some(Member::Text(typ))
                if typ.eq_ignore_ascii_case("at+jwt")
                    || typ.eq_ignore_ascii_case("application/at+jwt") => {}
            _ => return Err(Refusal::WrongTokenType),
        }
        let kid = match kid {
            Some(Member::Text(kid)) => kid,
            Some(_) => return Err(Refusal::Malformed),
            None => return Err(Refusal::MissingKeyId),
        };
        match alg {
            Some(Member::Text(alg)) => Ok(Self { alg, kid }),
            _ => Err(Refusal::AlgorithmMismatch),
        }
    }

    fn key<'k>(&self, keys: &'k KeySet) -> Result<&'k VerificationKey, Refusal> {
        let key = keys.get(&self.kid).ok_or(Refusal::UnknownKey)?;
        if self.alg == key.algorithm().as_str() {
            Ok(key)
        } else {
            Err(Refusal::AlgorithmMismatch)
        }
    }
}
