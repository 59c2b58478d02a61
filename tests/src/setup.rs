//! The settings of a server to be started.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use crate::database::{Backend, Database};
use crate::server::{Server, temporary_folder};

/// The settings of the limits.
const LIMITS: [&str; 5] = [
    "RATE_LIMIT_LOGIN",
    "RATE_LIMIT_ACCOUNT",
    "RATE_LIMIT_REGISTER",
    "RATE_LIMIT_REFRESH",
    "RATE_LIMIT_OTHER",
];

/// The settings of a server to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    pub(crate) backend: Backend,
    pub(crate) settings: BTreeMap<String, String>,
    /// `None`: the binary under test.
    pub(crate) program: Option<PathBuf>,
}

impl Setup {
    /// What every test starts from: cheap hashes, a free port on loopback, everything else as it comes.
    pub fn new(backend: Backend) -> Setup {
        let settings = BTreeMap::new();
        let setup = Setup {
            backend,
            settings,
            program: None,
        }
        .set("COUNTERSIGN_ADDR", "127.0.0.1:0")
        .set("COUNTERSIGN_OPS_ADDR", "off")
        .set("COUNTERSIGN_ISSUER", "http://countersign.test")
        .set("BCRYPT_ROUNDS", "4");
        // Every test comes from one address.
        LIMITS
            .iter()
            .fold(setup, |setup, name| setup.set(name, "off"))
    }

    /// With the limits that hold when nobody sets any.
    #[must_use]
    pub fn with_limits(mut self) -> Setup {
        for name in LIMITS {
            self.settings.remove(name);
        }
        self
    }

    /// With this setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl Into<String>) -> Setup {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Of another version.
    #[must_use]
    pub fn program(mut self, program: Option<PathBuf>) -> Setup {
        self.program = program;
        self
    }

    /// Starts a server on a new folder and database, and waits until it is ready.
    pub async fn start(self) -> Server {
        let mut server = self.prepare().await;
        server.launch().await;
        server
    }

    /// A server on a new folder and database that is not running yet.
    pub async fn prepare(self) -> Server {
        let folder = temporary_folder();
        let database = Database::create(self.backend, folder.path()).await;
        self.prepare_on(Arc::new(folder), Arc::new(database))
    }

    /// A server on this folder and database that is not running yet.
    pub fn prepare_on(mut self, folder: Arc<TempDir>, database: Arc<Database>) -> Server {
        self = self.set(
            "COUNTERSIGN_DATA_DIR",
            folder.path().to_str().expect("UTF-8"),
        );
        if matches!(*database, Database::Postgres { .. }) {
            self = self.set("DATABASE_URL", database.url());
        }
        Server::new(self, folder, database)
    }
}
