//! The data folder and the root secret in it.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use countersign_domain::root_secret::RootSecret;
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::settings::{RootSecretSource, Secret, Settings, weak};

/// Name of the root secret's file within the data folder.
pub const ROOT_SECRET_FILE: &str = "root-secret";

/// A root secret is a line of text; a longer file is some other file.
const LONGEST_SECRET: u64 = 4096;

/// Why the data folder cannot be used. Every message is one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// The folder cannot be made.
    #[error(
        "cannot make the data folder `{path}` ({source}); make it yourself or set `COUNTERSIGN_DATA_DIR`"
    )]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read or written.
    #[error(
        "cannot {verb} the root secret `{path}` ({source}); let the server's user own the data folder"
    )]
    File {
        /// What was tried.
        verb: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Other users may read or write the file.
    #[error(
        "the root secret `{path}` is open to other users (mode {mode:04o}); run `chmod 600 {path}`"
    )]
    Open {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to another user, who can put any secret into it.
    #[error("the root secret `{path}` belongs to another user; run this as its owner")]
    Foreign {
        /// The file.
        path: String,
    },
    /// The file holds something else.
    #[error(
        "the root secret `{path}` {problem}; restore it from a backup, or delete it to make a new one, which ends all \
         sessions and makes stored signing keys unreadable"
    )]
    Content {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl DataDirError {
    /// The exit code for this.
    pub fn exit(&self) -> Exit {
        match self {
            DataDirError::Folder { source, .. } | DataDirError::File { source, .. } => match source
                .kind()
            {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Exit::NotPermitted,
                _ => Exit::Failure,
            },
            DataDirError::Open { .. } | DataDirError::Foreign { .. } => Exit::NotPermitted,
            DataDirError::Content { .. } => Exit::Failure,
        }
    }
}

/// Makes the folder, and those above it, with mode 0700. One that exists is left as it is.
pub fn prepare(folder: &Path) -> Result<(), DataDirError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| DataDirError::Folder {
            path: shown(folder),
            source,
        })
}

/// The root secret of these settings: the given one, or the one in the data folder, which is made if it is missing.
///
/// `fresh` are 32 random bytes, used only where a secret is made.
pub fn root_secret(settings: &Settings, fresh: [u8; 32]) -> Result<RootSecret, DataDirError> {
    let secret = match &settings.root_secret {
        RootSecretSource::Given(secret) => secret.clone(),
        RootSecretSource::DataFolder => {
            prepare(&settings.data_dir)?;
            read_or_make(&settings.data_dir, fresh)?
        }
    };
    // The text itself is the key material, so that moving a file's content to `COUNTERSIGN_SECRET` changes nothing.
    Ok(RootSecret::new(secret.expose().as_bytes().to_vec()))
}

/// The secret in the folder, or nothing if there is none.
pub fn read(folder: &Path) -> Result<Option<Secret>, DataDirError> {
    let path = folder.join(ROOT_SECRET_FILE);
    let failed = |source| DataDirError::File {
        verb: "read",
        path: shown(&path),
        source,
    };
    let content = |problem| DataDirError::Content {
        path: shown(&path),
        problem,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(content("is not a file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(DataDirError::Foreign { path: shown(&path) });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Open {
            path: shown(&path),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_SECRET)
        .read_to_string(&mut text)
        .map_err(|source| match source.kind() {
            ErrorKind::InvalidData => content("is not text"),
            _ => failed(source),
        })?;
    let secret = text.trim();
    match weak::weakness(secret) {
        Some(problem) => Err(content(problem)),
        None => Ok(Some(Secret::new(secret))),
    }
}

/// The secret in the folder; made if it is missing. All processes that start at once get the same one.
pub fn read_or_make(folder: &Path, fresh: [u8; 32]) -> Result<Secret, DataDirError> {
    if let Some(secret) = read(folder)? {
        return Ok(secret);
    }
    let path = folder.join(ROOT_SECRET_FILE);
    let failed = |source| DataDirError::File {
        verb: "make",
        path: shown(&path),
        source,
    };
    make(folder, &path, fresh).map_err(failed)?;
    read(folder)?.ok_or_else(|| failed(ErrorKind::NotFound.into()))
}

/// Writes a whole file under another name and links it to `path` unless there is one already: nobody ever sees half a
/// secret, and nobody's secret is overwritten.
fn make(folder: &Path, path: &Path, fresh: [u8; 32]) -> io::Result<()> {
    let fresh = Zeroizing::new(fresh);
    // Hexadecimal, because none of the words of a placeholder can turn up in it by chance.
    let mut text = Zeroizing::new(String::with_capacity(2 * fresh.len() + 1));
    for byte in fresh.iter() {
        // Writing to a `String` does not fail.
        let _ = fmt::Write::write_fmt(&mut *text, format_args!("{byte:02x}"));
    }
    text.push('\n');
    let (mut file, draft) = create_draft(folder)?;
    let linked = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        // Without this a power cut could lose the name after sessions were signed with the secret.
        _ => File::open(folder)?.sync_all(),
    }
}

/// A new file with mode 0600. Names that others use at this moment, or that a crash left over, are passed by.
fn create_draft(folder: &Path) -> io::Result<(File, PathBuf)> {
    for number in 0..10_000 {
        let path = folder.join(format!(".{ROOT_SECRET_FILE}.{number}"));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
        {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(
        ErrorKind::AlreadyExists,
        "the folder is full of drafts named `.root-secret.*`",
    ))
}

fn shown(path: &Path) -> String {
    crate::settings::escaped(&path.to_string_lossy())
}
