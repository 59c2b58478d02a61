//! A checksum of a table that does not depend on the order of its rows, and can be kept up while they change.

use std::fmt;

/// A SHA-256 as a number of 256 bits, the least significant 64 of them first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest([u64; 4]);

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        Self(words)
    }
}

/// How many rows there are, and the sum of their digests modulo 2^256. Two tables with the same sum have the same rows: an
/// accident that hits both alike has a chance of 2^-256. It is no protection against somebody who may choose rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSum {
    /// The number of rows.
    pub(super) rows: u64,
    sum: Digest,
}

impl TableSum {
    pub(super) fn add(&mut self, digest: Digest) {
        self.rows = self.rows.wrapping_add(1);
        let mut carry = false;
        for (word, other) in self.sum.0.iter_mut().zip(digest.0) {
            let (sum, first) = word.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*word, carry) = (sum, first | second);
        }
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        self.rows = self.rows.wrapping_sub(1);
        let mut borrow = false;
        for (word, other) in self.sum.0.iter_mut().zip(digest.0) {
            let (rest, first) = word.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*word, borrow) = (rest, first | second);
        }
    }
}

/// The sum, as 64 hexadecimal digits.
impl fmt::Display for TableSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sum
            .0
            .iter()
            .rev()
            .try_for_each(|word| write!(f, "{word:016x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(byte: u8) -> Digest {
        Digest::of(&[byte; 32])
    }

    #[test]
    fn neither_order_nor_history_matters() {
        let (mut one, mut other) = (TableSum::default(), TableSum::default());
        for byte in [255, 254, 3, 255] {
            one.add(digest(byte));
        }
        for byte in [3, 255, 7, 255, 254, 9] {
            other.add(digest(byte));
        }
        assert_ne!(one, other);
        other.remove(digest(9));
        other.remove(digest(7));
        assert_eq!(one, other);
        assert_eq!(one.rows, 4);
    }

    #[test]
    fn a_row_more_or_twice_or_another_is_seen() {
        let sum = |bytes: &[u8]| {
            let mut sum = TableSum::default();
            bytes.iter().for_each(|byte| sum.add(digest(*byte)));
            sum
        };
        let all = [sum(&[]), sum(&[1]), sum(&[1, 1]), sum(&[1, 2]), sum(&[3])];
        for (place, one) in all.iter().enumerate() {
            let same = all.iter().filter(|other| *other == one).count();
            assert_eq!(same, 1, "{place}");
        }
    }

    #[test]
    fn removing_everything_leaves_nothing() {
        let mut sum = TableSum::default();
        let bytes: Vec<u8> = (0..=255).collect();
        bytes.iter().for_each(|byte| sum.add(digest(*byte)));
        bytes.iter().for_each(|byte| sum.remove(digest(*byte)));
        assert_eq!(sum, TableSum::default());
        assert_eq!(sum.to_string(), "0".repeat(64));
    }
}
