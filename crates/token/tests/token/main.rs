//! The tests of this crate, in one binary. Every attack on a token is a case in `vectors`, so that all SDKs run it too; what is
//! special to this crate stands in the other modules.

mod cache;
mod key_set;
mod limits;
mod oracle;
mod properties;
mod revocation;
mod round_trip;
mod signing;
mod support;
mod vectors;
