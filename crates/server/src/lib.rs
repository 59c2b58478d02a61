//! The `countersign` binary's parts: settings, wiring and operator commands.

#![warn(missing_docs)]

pub mod exit;
pub mod settings;
