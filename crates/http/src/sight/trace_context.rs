//! The trace that a request belongs to: `traceparent` of W3C Trace Context, level 1, section 3.2.

use http::HeaderValue;

/// A trace id: 32 lower-case hexadecimal digits, not all of them zero.
#[derive(Clone, Copy)]
pub(super) struct TraceId([u8; 32]);

impl TraceId {
    /// Reads a `traceparent`. A later version may have more after the flags (section 3.2.4);
    /// whatever is malformed is as if it were not there.
    pub(super) fn read(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let (head, more) = bytes.split_at_checked(55)?;
        let mut parts = head.split(|byte| *byte == b'-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let parent = hex(parts.next()?, 16)?;
        hex(parts.next()?, 2)?;
        let whole = match version {
            b"ff" => false,
            b"00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let some = |id: &[u8]| id.iter().any(|digit| *digit != b'0');
        if !whole || !some(trace) || !some(parent) {
            return None;
        }
        trace.try_into().ok().map(Self)
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn hex(part: &[u8], length: usize) -> Option<&[u8]> {
    let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (part.len() == length && part.iter().all(digits)).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn read(text: &str) -> Option<String> {
        let read = TraceId::read(&HeaderValue::from_str(text).unwrap());
        read.map(|trace| trace.as_str().to_owned())
    }

    #[test]
    fn a_trace_is_taken() {
        for text in [
            format!("00-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-00"),
            format!("cc-{TRACE}-b7ad6b7169203331-01"),
            format!("cc-{TRACE}-b7ad6b7169203331-01-what-the-future-brings"),
        ] {
            assert_eq!(read(&text).as_deref(), Some(TRACE), "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_not_there() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b7169203331-0"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("cc-{TRACE}-b7ad6b7169203331-01.more"),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-b7ad6b716920333\"-01"),
            format!("00_{TRACE}_b7ad6b7169203331_01"),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
