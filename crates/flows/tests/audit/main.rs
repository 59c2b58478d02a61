//! The audit log against somebody who can change the database as they like.

#[path = "../../../store-sql/tests/support/mod.rs"]
mod support;

mod edit;
mod edits;
mod log;
mod sealing;
