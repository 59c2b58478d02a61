//! The trace that a request belongs to: `traceparent` of W3C Trace Context, level 1, section 3.2.

use http::HeaderValue;

/// What a valid `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 32],
    parent: [u8; 16],
    sampled: bool,
}

impl TraceParent {
    /// The trace's id: 32 lower-case hexadecimal digits, not all of them zero.
    pub fn trace_id(&self) -> &str {
        std::str::from_utf8(&self.trace).unwrap_or_default()
    }

    /// The id of the caller's span: 16 lower-case hexadecimal digits, not all of them zero.
    pub fn parent_id(&self) -> &str {
        std::str::from_utf8(&self.parent).unwrap_or_default()
    }

    /// Whether the caller records the trace (section 3.2.3.3).
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    /// Reads a `traceparent`. A later version may have more after the flags (section 3.2.4);
    /// whatever is malformed is as if it were not there.
    pub(super) fn read(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let (head, more) = bytes.split_at_checked(55)?;
        let mut parts = head.split(|byte| *byte == b'-');
        let version = hex(parts.next()?, 2)?;
        let trace = hex(parts.next()?, 32)?;
        let parent = hex(parts.next()?, 16)?;
        let flags = std::str::from_utf8(hex(parts.next()?, 2)?).ok()?;
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let whole = match version {
            b"ff" => false,
            b"00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with(b"-"),
        };
        let some = |id: &[u8]| id.iter().any(|digit| *digit != b'0');
        if !whole || !some(trace) || !some(parent) {
            return None;
        }
        Some(Self {
            trace: trace.try_into().ok()?,
            parent: parent.try_into().ok()?,
            sampled,
        })
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
        parse(text).map(|read| read.trace_id().to_owned())
    }

    fn parse(text: &str) -> Option<TraceParent> {
        TraceParent::read(&HeaderValue::from_str(text).unwrap())
    }

    #[test]
    fn the_caller_is_taken() {
        for (flags, sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let read = parse(&format!("00-{TRACE}-b7ad6b7169203331-{flags}")).unwrap();
            assert_eq!(read.parent_id(), "b7ad6b7169203331");
            assert_eq!(read.sampled(), sampled, "{flags}");
        }
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
