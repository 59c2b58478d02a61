//! Exit codes of `countersign`, in this one place.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; the message says why |
//! | 2 | wrong usage of the command line (answered by the argument parser) |
//! | 69 | the database cannot be reached; trying again later may help |
//! | 77 | a file or folder may not be read or written, or is open to other users |
//! | 78 | the settings are wrong; starting again without a change cannot help |
//!
//! 69, 77 and 78 are `EX_UNAVAILABLE`, `EX_NOPERM` and `EX_CONFIG` of `sysexits.h`, so that a service manager can tell
//! a start that is worth repeating from one that is not (systemd: `RestartPreventExitStatus=78`).

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed; the message says why.
    Failure = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The database cannot be reached.
    Unavailable = 69,
    /// A file or folder may not be read or written, or is open to other users.
    NotPermitted = 77,
    /// The settings are wrong.
    Settings = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
