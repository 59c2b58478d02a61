//! What Redis keeps of a session: all that its next tokens are made of, in some seventy bytes.

use countersign_domain::UserId;
use countersign_domain::rotation::SessionState;
use jiff::Timestamp;
use uuid::Uuid;

/// What is kept under a live session's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `ended` is `None`.
    pub(crate) state: SessionState,
    pub(crate) facts: Facts,
}

/// What no script reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) user: UserId,
    pub(crate) auth_time: Timestamp,
    pub(crate) amr: Vec<String>,
    pub(crate) roles: Vec<String>,
}

/// What is written over the key of a session that has ended. Why it has, the database knows.
pub(crate) const TOMBSTONE: &[u8] = b"T";

/// 16 bytes under which a key was leased, never given out twice.
pub(crate) type Token = [u8; 16];

/// What `refresh.lua` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Rotated {
        entry: Entry,
        adopted: bool,
    },
    Repeated(Entry),
    LooksReused(Entry),
    LooksExpired,
    /// The session has ended.
    Gone,
    /// Whoever reads the database now may fill the key under `token`. `kept`: the key still knows the
    /// session's generation.
    Miss {
        token: Token,
        kept: bool,
    },
}

impl Answer {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (letter, rest) = bytes.split_first()?;
        Some(match letter {
            b'R' | b'A' => Self::Rotated {
                entry: Entry::read(rest)?,
                adopted: *letter == b'A',
            },
            b'P' => Self::Repeated(Entry::read(rest)?),
            b'U' => Self::LooksReused(Entry::read(rest)?),
            b'E' => Self::LooksExpired,
            b'T' => Self::Gone,
            b'M' | b'K' => Self::Miss {
                token: rest.try_into().ok()?,
                kept: *letter == b'K',
            },
            _ => return None,
        })
    }
}

impl Entry {
    pub(crate) fn write(&self) -> Vec<u8> {
        let Self { state, facts } = self;
        let mut bytes = Vec::with_capacity(96);
        bytes.extend(state.generation.to_be_bytes());
        for time in [state.rotated_at, state.idle_expires_at, state.expires_at] {
            bytes.extend(time.as_microsecond().to_be_bytes());
        }
        bytes.extend(facts.user.0.as_bytes());
        bytes.extend(facts.auth_time.as_microsecond().to_be_bytes());
        for list in [&facts.amr, &facts.roles] {
            write_length(&mut bytes, list.len());
            for name in list {
                write_length(&mut bytes, name.len());
                bytes.extend(name.as_bytes());
            }
        }
        bytes
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let generation = u32::from_be_bytes(take(&mut rest)?);
        let mut time = || Timestamp::from_microsecond(i64::from_be_bytes(take(&mut rest)?)).ok();
        let state = SessionState {
            generation,
            rotated_at: time()?,
            idle_expires_at: time()?,
            expires_at: time()?,
            ended: None,
        };
        let user = UserId(Uuid::from_bytes(take(&mut rest)?));
        let auth_time = Timestamp::from_microsecond(i64::from_be_bytes(take(&mut rest)?)).ok()?;
        let facts = Facts {
            user,
            auth_time,
            amr: read_names(&mut rest)?,
            roles: read_names(&mut rest)?,
        };
        rest.is_empty().then_some(Self { state, facts })
    }

    /// The entry under a key, be it live or to be filled. `None`: the key holds nothing of it.
    pub(crate) fn under_key(value: &[u8]) -> Option<Self> {
        match value.split_first()? {
            (b'L', state) => Self::read(state),
            (b'F', rest) => Self::read(rest.get(16..)?),
            _ => None,
        }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn write_length(bytes: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

fn read_length(rest: &mut &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for shift in [0, 7, 14, 21] {
        let [byte] = take(rest)?;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

fn read_names(rest: &mut &[u8]) -> Option<Vec<String>> {
    let count = read_length(rest)?;
    // Every name takes a byte at least, so a wrong count does not allocate much.
    let mut names = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let length = read_length(rest)?;
        let (name, after) = rest.split_at_checked(length)?;
        names.push(String::from_utf8(name.to_vec()).ok()?);
        *rest = after;
    }
    Some(names)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn entry(amr: Vec<String>, roles: Vec<String>) -> Entry {
        let at = |second: i64| Timestamp::new(1_800_000_000 + second, 123_456_000).unwrap();
        Entry {
            state: SessionState {
                generation: 7,
                rotated_at: at(0),
                idle_expires_at: at(10),
                expires_at: at(20),
                ended: None,
            },
            facts: Facts {
                user: UserId(Uuid::from_u128(77)),
                auth_time: at(-5),
                amr,
                roles,
            },
        }
    }

    #[test]
    fn typical_one_is_small() {
        let entry = entry(vec!["pwd".to_owned()], vec!["admin".to_owned()]);
        assert_eq!(entry.write().len(), 28 + 24 + 5 + 7);
    }

    proptest! {
        #[test]
        fn entries_are_read_back(
            amr in prop::collection::vec(".{0,5}", 0..4),
            roles in prop_oneof![
                prop::collection::vec(".{0,200}", 0..4),
                prop::collection::vec(".", 120..140),
            ],
        ) {
            let entry = entry(amr, roles);
            let bytes = entry.write();
            prop_assert_eq!(Entry::read(&bytes), Some(entry.clone()));
            let live = [b"L".as_slice(), &bytes].concat();
            prop_assert_eq!(Entry::under_key(&live), Some(entry.clone()));
            let kept = [b"F".as_slice(), &[9; 16], &bytes].concat();
            prop_assert_eq!(Entry::under_key(&kept), Some(entry));
            prop_assert_eq!(Entry::read(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop((Entry::read(&bytes), Answer::read(&bytes), Entry::under_key(&bytes)));
        }
    }
}
