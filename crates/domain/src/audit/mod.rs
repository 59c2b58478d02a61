//! The audit log: what is recorded, how it is written down, and how a change of it is found.
//!
//! An event is written in three layers. Its *row* says what happened, with the personal part
//! encrypted under a key of the user ([`Ink::write`]); a MAC under a key of the installation shows that Countersign wrote
//! it. The *chain* gives every row a position and a hash over everything before it
//! ([`link`]), so that none can be taken out or moved. *Marks* signed by the installation say how far the chain goes
//! ([`Mark`]), so that its end cannot be cut off.
//!
//! Erasing a user destroys the salt that the user's key is made of. What was encrypted is lost then, and
//! every MAC, hash and mark stays valid, since they are over the encrypted form.

mod chain;
mod event;
mod ink;
mod kind;
#[cfg(test)]
mod tests;

pub use chain::{Cursor, Fault, Hash, Mark, MarkKind, Sealed, link};
pub use event::{By, Details, Draft, Personal, Row};
pub use ink::{AddressTag, Ink, Salt};
pub use kind::{Kind, Outcome, UnknownKind};
