//! Why a command did not do what it was asked, in words for whoever asked.

use std::fmt;
use std::io;

use countersign_flows::{CreateUserError, Fault, FieldError, OpenError, UpdateUserError};
use countersign_store::StoreError;
use countersign_store_redis::ConnectError as RedisError;
use countersign_store_sql::{ConnectError, SchemaError};

use crate::data_dir::DataDirError;
use crate::exit::Exit;

/// A command that failed: one line, and how the process ends.
#[derive(Debug)]
pub struct Failure {
    /// One line, which never holds a secret; empty: there is nothing to say.
    pub message: String,
    /// The exit code.
    pub exit: Exit,
}

impl Failure {
    /// A plain failure.
    pub fn new(message: impl Into<String>) -> Self {
        Self::with(Exit::Failure, message)
    }

    /// A failure with its own exit code.
    pub fn with(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            exit,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<DataDirError> for Failure {
    fn from(error: DataDirError) -> Self {
        Self::with(error.exit(), error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let exit = match error {
            StoreError::Unavailable(_) => Exit::Unavailable,
            StoreError::Corrupt(_) => Exit::Failure,
        };
        Self::with(exit, error.to_string())
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        match error {
            SchemaError::Store(error) => error.into(),
            // Another binary or another database is needed; starting again cannot help.
            SchemaError::NotServed { .. } | SchemaError::Changed { .. } => {
                Self::with(Exit::Settings, error.to_string())
            }
            SchemaError::Failed { .. } | SchemaError::Locked { .. } => Self::new(error.to_string()),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match error {
            ConnectError::Schema(error) => return error.into(),
            ConnectError::Url(_) => Exit::Settings,
            ConnectError::File { .. } => Exit::NotPermitted,
            ConnectError::Unreachable(..) => Exit::Unavailable,
        };
        Self::with(exit, error.to_string())
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        let exit = match error {
            RedisError::Authority { .. } => Exit::Settings,
            RedisError::Refused(..) | RedisError::TooOld(..) => Exit::Unavailable,
        };
        Self::with(exit, error.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error.into(),
            fault => Self::new(fault.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Fault(fault) => fault.into(),
            error => Self::with(Exit::Settings, error.to_string()),
        }
    }
}

impl From<CreateUserError> for Failure {
    fn from(error: CreateUserError) -> Self {
        match error {
            CreateUserError::Invalid(errors) => Self::new(fields(&errors)),
            CreateUserError::Fault(fault) => fault.into(),
            error => Self::new(error.to_string()),
        }
    }
}

impl From<UpdateUserError> for Failure {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::Invalid(errors) => Self::new(fields(&errors)),
            UpdateUserError::Fault(fault) => fault.into(),
            error => Self::new(error.to_string()),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // Whoever read the output has seen enough, as in `countersign user list | head`.
            io::ErrorKind::BrokenPipe => Self::with(Exit::Ok, ""),
            _ => Self::new(error.to_string()),
        }
    }
}

fn fields(errors: &[FieldError]) -> String {
    let lines = errors
        .iter()
        .map(|error| format!("`{}`: {}", error.field, error.detail));
    lines.collect::<Vec<_>>().join("; ")
}
