//! Whose address a request counts for.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::FORWARDED;
use ipnet::IpNet;

/// The networks of proxies whose word about the client's address is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts proxies in these networks. Empty: the peer's address counts, whatever headers say.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The client's address: the peer's, or, where the peer is a trusted proxy, the right-most
    /// address in `X-Forwarded-For` (else `Forwarded`, RFC 7239) that is not itself a trusted proxy. Anything
    /// further left could have been made up by the client.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        for hop in hops(headers).into_iter().rev() {
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
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The hops from left to right; `None` for one that names no address.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let split = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| value.to_str().unwrap_or("unreadable"));
        texts
            .flat_map(|text| text.split(','))
            .map(|hop| hop.trim().to_owned())
            .collect()
    };
    let forwarded_for = split("x-forwarded-for");
    if !forwarded_for.is_empty() {
        return forwarded_for.iter().map(|hop| address(hop)).collect();
    }
    split(FORWARDED.as_str())
        .iter()
        .map(|element| forwarded_address(element))
        .collect()
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

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = ["127.0.0.0/8", "10.0.0.0/8", "fd00::/8"];
        let proxies = TrustedProxies::new(proxies.map(|net| net.parse().unwrap()).to_vec());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        let forged = [("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=2.2.2.2")];
        assert_eq!(client("203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(client("127.0.0.1", &forged), "1.1.1.1");
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
        ] {
            assert_eq!(
                client("127.0.0.1", &[("x-forwarded-for", value)]),
                expected,
                "{value}"
            );
            assert_eq!(
                client("::ffff:127.0.0.1", &[("x-forwarded-for", value)]),
                expected
            );
        }
        let lines = [
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "203.0.113.7"),
        ];
        assert_eq!(client("127.0.0.1", &lines), "203.0.113.7");
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
                client("127.0.0.1", &[("forwarded", value)]),
                expected,
                "{value}"
            );
        }
    }
}
