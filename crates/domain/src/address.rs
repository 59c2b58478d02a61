//! Which client addresses count as one.

use std::net::{IpAddr, Ipv6Addr};

/// The addresses that one subscriber is given: a single IPv4 address, or a /64 of IPv6, in which
/// every host may choose its address freely (RFC 4291, section 2.5.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressBlock {
    /// Nobody's: an operator's command, or a caller whose address is not known.
    #[default]
    None,
    /// An IPv4 address.
    V4([u8; 4]),
    /// The first 64 bits of an IPv6 address.
    V6([u8; 8]),
}

impl AddressBlock {
    /// The block that an address lies in. IPv4 addresses written as IPv6 ones, mapped (RFC 4291,
    /// section 2.5.5.2) or translated by NAT64 (RFC 6052), are the IPv4 address: otherwise all of
    /// them would share one block.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, tail @ ..] = address.octets();
        match [a, b, c, d, e, f, g, h, i, j, k, l] {
            [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0] => Self::V4(tail),
            _ => Self::V6([a, b, c, d, e, f, g, h]),
        }
    }

    /// The block as bytes; no two blocks have the same.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> AddressBlock {
        AddressBlock::of(text.parse().unwrap())
    }

    #[test]
    fn one_subscriber_is_one_block() {
        for (one, other) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("64:ff9b::203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(block(one), block(other), "{one} {other}");
        }
        for (one, other) in [
            ("203.0.113.7", "203.0.113.8"),
            ("2001:db8:1:2::1", "2001:db8:1:3::1"),
            ("64:ff9b::203.0.113.7", "64:ff9b::203.0.113.8"),
            ("::1", "127.0.0.1"),
        ] {
            assert_ne!(block(one), block(other), "{one} {other}");
        }
        assert_ne!(block("0.0.0.0").bytes(), block("::").bytes());
    }
}
