//! What a refresh token and an access token say, read without checking them: the documented forms.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The session and the generation of a refresh token: `cs_rt_` and base64url of version 1, key id 1, session id 16,
/// generation 4 (big endian), and the MAC.
pub(crate) fn refresh_token(token: &str) -> ([u8; 16], u32) {
    let encoded = token.strip_prefix("cs_rt_").expect("the prefix");
    let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
    let session = bytes[2..18].try_into().expect("16 bytes");
    let generation = bytes[18..22].try_into().expect("4 bytes");
    (session, u32::from_be_bytes(generation))
}

/// The claims of an access token.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    let bytes = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
