use std::fmt;
use std::str::FromStr;

/// From where a client goes on, on whichever instance: the `id` of heartbeats. Opaque to clients. Whoever has seen it knows
/// every announcement up to the number, and all that was acknowledged before the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ResumePoint {
    /// The installation: elsewhere the numbers mean something else.
    pub(super) installation: u32,
    /// The number of an announcement. All with a smaller one have been sent, however late they were committed.
    pub(super) seq: i64,
    /// Unix milliseconds.
    pub(super) as_of: i64,
}

/// The form of ids may change with any version; those of others are not understood and get everything.
const VERSION: &str = "1";

impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            installation,
            seq,
            as_of,
        } = self;
        write!(f, "{VERSION}.{installation:08x}.{seq}.{as_of}")
    }
}

/// Not an id of ours, or not of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

impl FromStr for ResumePoint {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let mut parts = text.split('.');
        let point = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(VERSION), Some(installation), Some(seq), Some(as_of)) => Self {
                installation: u32::from_str_radix(installation, 16).map_err(|_| Unknown)?,
                seq: seq.parse().map_err(|_| Unknown)?,
                as_of: as_of.parse().map_err(|_| Unknown)?,
            },
            _ => return Err(Unknown),
        };
        // There is one way to write it.
        match parts.next().is_none() && point.to_string() == text {
            true => Ok(point),
            false => Err(Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_nothing_else_is() {
        let point = ResumePoint {
            installation: 0xab,
            seq: 17,
            as_of: 1_800_000_000_123,
        };
        let text = point.to_string();
        assert_eq!(text, "1.000000ab.17.1800000000123");
        assert_eq!(text.parse(), Ok(point));
        for other in [
            "",
            "1",
            "17",
            "2.000000ab.17.1800000000123",
            "1.ab.17.1800000000123",
            "1.000000ab.+17.1800000000123",
            "1.000000ab.17.1800000000123.",
            "1.000000ab.99999999999999999999.1",
            "1.000000ab.17.",
        ] {
            assert_eq!(other.parse::<ResumePoint>(), Err(Unknown), "{other}");
        }
    }
}
