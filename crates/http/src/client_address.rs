//! Whose address a request counts for.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{FORWARDED, HeaderName};
use ipnet::IpNet;

/// The networks of proxies whose word about the client's address is believed, and the header that
/// they put it in.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardingHeader,
}

/// The header that the proxies add their client's address to. The other one is not looked at: a
/// proxy passes on whatever its client wrote there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl TrustedProxies {
    /// Trusts proxies in these networks. Empty: the peer's address counts, whatever headers say.
    pub fn new(networks: Vec<IpNet>, header: ForwardingHeader) -> Self {
        Self { networks, header }
    }

    /// The client's address: the peer's, or, where the peer is a trusted proxy, the right-most
    /// address in the header that is not itself a trusted proxy. Anything further left could have
    /// been made up by the client.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        for hop in self.hops(headers).into_iter().rev() {
            // What cannot be read ends the walk at the last hop that could.
            let Some(address) = hop else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(&address))
    }

    /// The hops from left to right; `None` for one that names no address. Split before they are
    /// read, so that a client's unreadable hop does not hide the proxy's own.
    fn hops(&self, headers: &HeaderMap) -> Vec<Option<IpAddr>> {
        let (name, read): (HeaderName, fn(&str) -> Option<IpAddr>) = match self.header {
            ForwardingHeader::XForwardedFor => {
                (HeaderName::from_static("x-forwarded-for"), address)
            }
            ForwardingHeader::Forwarded => (FORWARDED, forwarded_address),
        };
        let values = headers.get_all(name).into_iter();
        let hops = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        hops.map(|hop| read(std::str::from_utf8(hop).ok()?.trim()))
            .collect()
    }
}

fn forwarded_address(element: &str) -> Option<IpAddr> {
    let mut pairs = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim().trim_matches('"'))
}

/// An address with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let parsed = bare.unwrap_or(text).parse().ok();
    let parsed = parsed.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    use ForwardingHeader::{Forwarded, XForwardedFor};

    fn client(header: ForwardingHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let networks = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
        let networks = networks.map(|net| net.parse().unwrap()).to_vec();
        let proxies = TrustedProxies::new(networks, header);
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                *name,
                http::HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        proxies.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let forged = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2")];
        assert_eq!(client(XForwardedFor, "203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client(XForwardedFor, "127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client(XForwardedFor, "127.0.0.1", &forged), "1.1.1.1");
        assert_eq!(client(Forwarded, "127.0.0.1", &forged), "2.2.2.2");
        // The other header is the client's own.
        assert_eq!(client(Forwarded, "127.0.0.1", &forged[..1]), "127.0.0.1");
        assert_eq!(
            client(XForwardedFor, "127.0.0.1", &forged[1..]),
            "127.0.0.1"
        );
    }

    #[test]
    fn the_rightmost_untrusted_hop_counts() {
        for (value, expected) in [
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 10.1.1.1, 10.2.2.2", "203.0.113.7"),
            ("10.3.3.3, 10.1.1.1", "10.3.3.3"),
            ("203.0.113.7, garbage, 10.1.1.1", "10.1.1.1"),
            ("203.0.113.7, garbage", "127.0.0.1"),
            ("203.0.113.7:4711", "203.0.113.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("", "127.0.0.1"),
            ("é, 203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(
                client(XForwardedFor, "127.0.0.1", &[("x-forwarded-for", value)]),
                expected,
                "{value}"
            );
            assert_eq!(
                client(
                    XForwardedFor,
                    "::ffff:127.0.0.1",
                    &[("x-forwarded-for", value)]
                ),
                expected
            );
        }
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        assert_eq!(client(XForwardedFor, "127.0.0.1", &lines), "203.0.113.7");
    }

    #[test]
    fn the_standard_header_is_read_too() {
        for (value, expected) in [
            ("for=203.0.113.7", "203.0.113.7"),
            (
                "for=6.6.6.6, For=\"[2001:db8::1]:80\";proto=https",
                "2001:db8::1",
            ),
            (
                "for=203.0.113.7;by=10.0.0.1, proto=http;for=10.0.0.2",
                "203.0.113.7",
            ),
            ("for=unknown", "127.0.0.1"),
            ("for=_hidden, for=10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(
                client(Forwarded, "127.0.0.1", &[("forwarded", value)]),
                expected,
                "{value}"
            );
        }
    }
}
