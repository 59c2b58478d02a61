//! How a device shows that it is known: by a cookie in a browser, by a header elsewhere.
//!
//! The token opens nothing (see `countersign_domain::device_token`), so there is nothing to gain by having
//! somebody else's browser send it, and neither form needs protection against that.

use countersign_domain::device_token::{DeviceToken, LIFETIME};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header, in requests and in answers.
pub(crate) const DEVICE: HeaderName = HeaderName::from_static("countersign-device");

/// The longest text that is looked at.
const MAX_TOKEN: usize = 256;

/// The cookie's name. The prefix keeps other hosts of the domain from setting it (RFC 6265bis,
/// section 4.1.3), and asks for HTTPS.
fn cookie_name(secure: bool) -> &'static str {
    match secure {
        true => "__Host-cs_device",
        false => "cs_device",
    }
}

/// What a request presents: the header's value, or else the cookie's. Unchecked.
pub(crate) fn presented(headers: &HeaderMap, secure: bool) -> Option<String> {
    let header = headers.get(DEVICE).and_then(|value| value.to_str().ok());
    let token = header.or_else(|| {
        let cookies = headers.get_all(COOKIE).into_iter();
        let pairs = cookies.filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|value| value.split(';'));
        pairs.find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == cookie_name(secure)).then_some(value)
        })
    })?;
    (token.len() <= MAX_TOKEN).then(|| token.to_owned())
}

/// The headers by which a client is given its token.
pub(crate) fn given(token: &DeviceToken, secure: bool) -> HeaderMap {
    let (name, token) = (cookie_name(secure), token.expose());
    let https = if secure { "; Secure" } else { "" };
    let lifetime = LIFETIME.as_secs();
    let cookie =
        format!("{name}={token}; Path=/; Max-Age={lifetime}; HttpOnly{https}; SameSite=Lax");
    let fields = [(DEVICE, token), (SET_COOKIE, &cookie)];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_str(value).ok()?;
        Some((name, value))
    });
    fields.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(HeaderName, &str)], secure: bool) -> Option<String> {
        let fields = fields.iter();
        let headers = fields.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        presented(&headers.collect(), secure)
    }

    #[test]
    fn the_header_or_the_cookie() {
        let cookies = "a=b; __Host-cs_device=x; cs_device=y;broken; c=\"d\"";
        assert_eq!(read(&[(COOKIE, cookies)], true).as_deref(), Some("x"));
        assert_eq!(read(&[(COOKIE, cookies)], false).as_deref(), Some("y"));
        let both = [(COOKIE, cookies), (DEVICE, "z")];
        assert_eq!(read(&both, true).as_deref(), Some("z"));
        assert_eq!(read(&[(COOKIE, "x__Host-cs_device=1")], true), None);
        assert_eq!(read(&[], true), None);
        assert_eq!(read(&[(DEVICE, &"x".repeat(257))], true), None);
    }
}
