use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Most bytes (UTF-8, after NFC) of a password.
pub const MAX_BYTES: usize = 1_024;

/// NFC leaves at least a third of the bytes (three Hangul letters of 3 bytes become one syllable of 3), so what is longer
/// than this cannot fit and is not worth normalising.
const MAX_RAW_BYTES: usize = 4 * MAX_BYTES;

/// NFC makes nothing longer than three times its bytes. Reserving that much keeps the text from being copied,
/// unwiped, when the buffer would grow.
const MAX_GROWTH: usize = 3;

/// The password in NFC, or `None` if it has more than [`MAX_BYTES`].
///
/// One password typed on two systems may arrive composed or decomposed; both must be the same password.
pub(super) fn normalise(raw: &str) -> Option<Zeroizing<String>> {
    if raw.len() > MAX_RAW_BYTES {
        return None;
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_GROWTH * raw.len()));
    text.extend(raw.nfc());
    (text.len() <= MAX_BYTES).then_some(text)
}

/// A decimal number as hash strings spell it: digits only, no sign, no leading zero.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_shrinks_or_grows_beyond_the_bounds() {
        for c in (0..=0x10_FFFF).filter_map(char::from_u32) {
            let composed: String = c.nfc().collect();
            let decomposed: String = c.nfd().collect();
            assert!(decomposed.len() <= 3 * composed.len(), "{c:?} shrinks");
            assert!(c.len_utf8() <= 3 * composed.len(), "{c:?} shrinks");
            // What stands next to a character may keep it from being composed.
            assert!(decomposed.len() <= MAX_GROWTH * c.len_utf8(), "{c:?} grows");
            assert!(composed.len() <= MAX_GROWTH * c.len_utf8(), "{c:?} grows");
        }
    }

    #[test]
    fn the_limit_counts_normalised_bytes() {
        let decomposed = "\u{1112}\u{1161}\u{11ab}".repeat(341);
        assert_eq!(decomposed.len(), 3_069);
        assert_eq!(normalise(&decomposed).unwrap().len(), 1_023);
        assert!(normalise(&(decomposed + "\u{1112}")).is_none());
        assert!(normalise(&"x".repeat(MAX_BYTES)).is_some());
        assert!(normalise(&"x".repeat(MAX_BYTES + 1)).is_none());
        assert!(normalise(&"x".repeat(MAX_RAW_BYTES + 1)).is_none());
    }
}
