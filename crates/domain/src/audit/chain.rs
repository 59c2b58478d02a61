use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use jiff::Timestamp;

use super::{Ink, Row};

/// The hash over an event and everything before it.
pub type Hash = [u8; 32];

/// The hash of the event at `position`, of this digest ([`Row::digest`]), after one of the hash
/// `previous`; before the first, 32 zero bytes.
pub fn link(previous: &Hash, position: u64, digest: &[u8; 32]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(b"countersign audit chain v1\0");
    context.update(previous);
    context.update(&position.to_be_bytes());
    context.update(digest);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// What a mark says about its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// The chain goes so far.
    Head,
    /// The chain passed here. For whoever wants to keep proof elsewhere of how it was.
    Checkpoint,
    /// Everything up to here was verified and removed.
    Cut,
}

impl MarkKind {
    /// The name in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Checkpoint => "checkpoint",
            Self::Cut => "cut",
        }
    }
}

/// A signed statement about the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it says.
    pub kind: MarkKind,
    /// About which position; 0 is before the first event.
    pub position: u64,
    /// The chain's hash there.
    pub hash: Hash,
    /// When it was made.
    pub at: Timestamp,
    /// The Ed25519 signature (RFC 8032).
    pub signature: Vec<u8>,
}

impl Mark {
    fn message(kind: MarkKind, position: u64, hash: &Hash, at: Timestamp) -> Vec<u8> {
        let (kind, position, at) = (
            kind.as_str(),
            position.to_be_bytes(),
            at.as_microsecond().to_be_bytes(),
        );
        [
            b"countersign audit mark v1\0".as_slice(),
            kind.as_bytes(),
            b"\0",
            &position,
            &at,
            hash,
        ]
        .concat()
    }

    /// Whether whoever has the private half of `public_key` signed it.
    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        let message = Self::message(self.kind, self.position, &self.hash, self.at);
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        key.verify(&message, &self.signature).is_ok()
    }
}

impl Ink {
    /// Signs a statement about the chain.
    pub fn mark(&self, kind: MarkKind, position: u64, hash: Hash, at: Timestamp) -> Mark {
        let at = Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at);
        let message = Mark::message(kind, position, &hash, at);
        let signature = self.marks.sign(&message).as_ref().to_vec();
        Mark {
            kind,
            position,
            hash,
            at,
            signature,
        }
    }

    /// Whether this installation signed the mark, for that purpose.
    pub fn signed(&self, mark: &Mark, kind: MarkKind) -> bool {
        mark.kind == kind && mark.is_signed_by(self.public_key())
    }
}

/// An event that has its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its position, from 1 on.
    pub position: u64,
    /// The chain's hash there.
    pub hash: Hash,
    /// The event.
    pub row: Row,
}

/// The first thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The event at this position has been removed; `found` is the next that is there.
    Missing {
        /// Where one is missing.
        position: u64,
    },
    /// The event was changed, or not written by this installation.
    Changed {
        /// Where it is.
        position: u64,
        /// Its id, as it reads now.
        id: crate::EventId,
    },
    /// The event is genuine, and was not here: it was moved, or its hash was changed.
    Moved {
        /// Where it is.
        position: u64,
        /// Its id.
        id: crate::EventId,
    },
    /// An event stands behind the signed end.
    Beyond {
        /// Where it is.
        position: u64,
        /// Its id.
        id: crate::EventId,
    },
    /// An event without a place yet that this installation has not written.
    Foreign {
        /// Its id.
        id: crate::EventId,
    },
    /// An event claims a place where none is: before the first one, or among those that were cut off.
    Stray {
        /// Its id.
        id: crate::EventId,
    },
    /// The event cannot even be read, so it was changed.
    Unreadable {
        /// Where it is.
        position: u64,
    },
    /// A mark is missing, was changed, or contradicts the chain.
    Mark {
        /// What it says.
        kind: MarkKind,
        /// About which position.
        position: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { position } => write!(f, "event {position} is missing"),
            Self::Changed { position, id } => {
                write!(
                    f,
                    "event {position} ({id}) was changed, or not written by this installation"
                )
            }
            Self::Moved { position, id } => write!(
                f,
                "event {position} ({id}) was moved or its hash was changed"
            ),
            Self::Beyond { position, id } => {
                write!(f, "event {position} ({id}) stands behind the signed end")
            }
            Self::Foreign { id } => write!(f, "event {id} was not written by this installation"),
            Self::Stray { id } => write!(f, "event {id} claims a place where none is left"),
            Self::Unreadable { position } => {
                write!(f, "event {position} was changed: it cannot even be read")
            }
            Self::Mark { kind, position } => {
                write!(
                    f,
                    "the {} at {position} is missing, was changed, or contradicts the chain",
                    kind.as_str()
                )
            }
        }
    }
}

/// Walks along the chain and checks every step.
#[derive(Clone, Debug)]
pub struct Cursor {
    position: u64,
    hash: Hash,
}

impl Cursor {
    /// Begins behind the last cut, or before the first event.
    pub fn begin(ink: &Ink, cut: Option<&Mark>) -> Result<Self, Fault> {
        match cut {
            None => Ok(Self {
                position: 0,
                hash: [0; 32],
            }),
            Some(cut) if ink.signed(cut, MarkKind::Cut) => Ok(Self {
                position: cut.position,
                hash: cut.hash,
            }),
            Some(cut) => Err(Fault::Mark {
                kind: MarkKind::Cut,
                position: cut.position,
            }),
        }
    }

    /// Checks the event that is stored behind the last one.
    pub fn step(&mut self, ink: &Ink, sealed: &Sealed) -> Result<(), Fault> {
        let (position, id) = (self.position.saturating_add(1), sealed.row.id);
        if sealed.position != position {
            return Err(Fault::Missing { position });
        }
        if !ink.wrote(&sealed.row) {
            return Err(Fault::Changed { position, id });
        }
        let hash = link(&self.hash, position, &sealed.row.digest());
        if hash != sealed.hash {
            return Err(Fault::Moved { position, id });
        }
        (self.position, self.hash) = (position, hash);
        Ok(())
    }

    /// Checks a checkpoint of this position.
    pub fn pass(&self, ink: &Ink, checkpoint: &Mark) -> Result<(), Fault> {
        let kind = MarkKind::Checkpoint;
        let right = ink.signed(checkpoint, kind) && self.is_at(checkpoint);
        right.then_some(()).ok_or(Fault::Mark {
            kind,
            position: checkpoint.position,
        })
    }

    /// Checks that the chain ends here.
    pub fn end(&self, ink: &Ink, head: Option<&Mark>) -> Result<(), Fault> {
        let kind = MarkKind::Head;
        match head {
            // Nothing has been sealed yet.
            None if self.position == 0 => Ok(()),
            Some(head) if !ink.signed(head, kind) => Err(Fault::Mark {
                kind,
                position: head.position,
            }),
            Some(head) if head.position > self.position => Err(Fault::Missing {
                position: self.position.saturating_add(1),
            }),
            Some(head) if self.is_at(head) => Ok(()),
            _ => Err(Fault::Mark {
                kind,
                position: self.position,
            }),
        }
    }

    /// The position of the last event that was checked.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The chain's hash there.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    fn is_at(&self, mark: &Mark) -> bool {
        (self.position, self.hash) == (mark.position, mark.hash)
    }
}
