//! base64url without padding (RFC 7515 §2), strict: padding, white space and non-zero trailing bits are errors, so that one
//! sequence of bytes has exactly one text.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::Refusal;

pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(feature = "sign")]
pub(crate) fn append(text: &mut String, bytes: &[u8]) {
    BASE64_URL_SAFE_NO_PAD.encode_string(bytes, text);
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Refusal::Malformed)
}

/// Decodes into `small` where the bytes fit and into `large` where they do not: most tokens are read without an allocation.
pub(crate) fn decode_into<'b>(
    text: &str,
    small: &'b mut [u8],
    large: &'b mut Vec<u8>,
) -> Result<&'b [u8], Refusal> {
    let room = base64::decoded_len_estimate(text.len());
    let buffer = if room <= small.len() {
        small
    } else {
        large.resize(room, 0);
        large.as_mut_slice()
    };
    let length = BASE64_URL_SAFE_NO_PAD
        .decode_slice(text, buffer)
        .map_err(|_| Refusal::Malformed)?;
    buffer.get(..length).ok_or(Refusal::Malformed)
}
