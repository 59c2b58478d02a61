//! The command line, as `clap` reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use countersign_domain::service_key::ServiceScope;
use jiff::SignedDuration;

/// A self-hosted authentication server
///
/// Registers users, signs them in, keeps them signed in and signs them out. Settings come from the
/// environment, `.env` and `countersign.toml`; `countersign config show` tells which.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Settings file, instead of `countersign.toml` in the working directory
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 69 database unavailable, 77 not permitted, 78 wrong settings";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server until SIGTERM or SIGINT
    Serve,
    /// Bring the database schema up to date
    Migrate {
        /// Only print what would be executed and what it locks
        #[arg(long)]
        plan: bool,
    },
    /// Create, find, change and remove users
    #[command(subcommand)]
    User(UserCommand),
    /// List, explain and end sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// List and rotate signing keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Make, list and revoke keys of services that follow what is revoked
    #[command(subcommand)]
    ServiceKey(ServiceKeyCommand),
    /// Move the installation to another database
    #[command(subcommand)]
    Store(StoreCommand),
    /// Read, export and verify the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Check or show the settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check settings, storage, clock, keys and permissions, and say what to do
    Doctor,
    /// Print the API description (OpenAPI 3.1)
    Openapi,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print a manual page
    Man {
        /// The command that it is about, such as `user create`; none: `countersign` itself
        command: Vec<String>,
    },
}

/// The commands about users. USER is an id or an e-mail address.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Create a user; asks for the password
    Create {
        /// The e-mail address
        email: String,
        /// A display name
        #[arg(long)]
        name: Option<String>,
        /// A role; may be given several times
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// How the password comes
        #[command(flatten)]
        password: PasswordSource,
        /// Make a user who cannot sign in by password
        #[arg(long, conflicts_with = "password_stdin")]
        no_password: bool,
    },
    /// List users, the oldest first
    List {
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Begin after the user with this id
        #[arg(long, value_name = "ID")]
        after: Option<uuid::Uuid>,
    },
    /// Show one user
    Show {
        /// Id or e-mail address
        user: String,
    },
    /// Change a user's name, roles or e-mail address
    Update {
        /// Id or e-mail address
        user: String,
        /// A display name; an empty one removes it
        #[arg(long)]
        name: Option<String>,
        /// A role, instead of those so far; may be given several times
        #[arg(long = "role", value_name = "ROLE", conflicts_with = "no_roles")]
        roles: Vec<String>,
        /// Take all roles away
        #[arg(long)]
        no_roles: bool,
        /// A new e-mail address, which then counts as not verified
        #[arg(long)]
        email: Option<String>,
    },
    /// Disable an account and end its sessions
    Disable {
        /// Id or e-mail address
        user: String,
    },
    /// Enable an account again
    Enable {
        /// Id or e-mail address
        user: String,
    },
    /// Delete a user and everything that belongs to it
    Delete {
        /// Id or e-mail address
        user: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Set a password and end the user's sessions; asks for the password
    SetPassword {
        /// Id or e-mail address
        user: String,
        /// How the password comes
        #[command(flatten)]
        password: PasswordSource,
    },
    /// End all sessions of a user
    SignOut {
        /// Id or e-mail address
        user: String,
    },
}

/// How a password comes in: never as an argument, where every process could read it.
#[derive(Debug, Clone, Copy, Args)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input instead of asking
    #[arg(long)]
    pub password_stdin: bool,
}

/// The commands about sessions.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the live sessions of a user, the newest first
    List {
        /// Id or e-mail address
        user: String,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Tell the story of a session: opened, refreshed, ended, by whom and from where
    Explain {
        /// The session's id, or the `event_id` of a refused token
        id: uuid::Uuid,
    },
    /// End a session
    Revoke {
        /// The session's id: the `sid` claim of its tokens
        id: uuid::Uuid,
    },
}

/// The commands about signing keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the signing keys
    List,
    /// Make the next signing key: published now, in use ten minutes later
    Rotate {
        /// A private key may have leaked: use the new key at once, refuse every access token from
        /// before, and end all sessions of everybody
        #[arg(long)]
        emergency: bool,
    },
}

/// The commands about service keys.
#[derive(Debug, Subcommand)]
pub enum ServiceKeyCommand {
    /// Make a service key and print it, for this one time
    Create {
        /// What it is called: 1 to 64 characters of `a-z`, `A-Z`, `0-9`, `.`, `_` and `-`
        name: String,
        /// What it is good for: `feed`, to follow what is revoked
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<ServiceScope>,
        /// For how long it is good, such as `90d` or `12h`; always, if not given
        #[arg(long, value_name = "DURATION", value_parser = lifetime)]
        expires: Option<SignedDuration>,
    },
    /// List the service keys that were made, the oldest first; the keys themselves are not kept
    List,
    /// Revoke a service key: streams that it has open end within a second
    Revoke {
        /// Its id, or its name
        #[arg(value_name = "ID|NAME")]
        key: String,
    },
}

/// A whole number of days or hours.
fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let wrong = || "must be 1 to 36500 days or hours, such as `90d` or `12h`".to_owned();
    let hours = match (text.strip_suffix('d'), text.strip_suffix('h')) {
        (Some(days), _) => (days, 24),
        (_, Some(hours)) => (hours, 1),
        _ => return Err(wrong()),
    };
    let number = hours.0.parse::<u16>().map_err(|_| wrong())?;
    let fits = (1..=36_500).contains(&number) && hours.0.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| SignedDuration::from_hours(i64::from(number) * hours.1))
        .ok_or_else(wrong)
}

/// The commands about moving house.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy a SQLite installation to PostgreSQL while it is served, and move there
    ///
    /// Nobody is signed out. The server answers 503 for the last seconds, and refuses to be used on SQLite afterwards; then
    /// it is started on PostgreSQL. A run that was stopped at any moment is gone on with by the same command.
    Copy {
        /// What to move, such as `sqlite:path/to/countersign.db`; the `DATABASE_URL` of the settings, if not given
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// An empty PostgreSQL database with the current schema; the setting `COPY_TO_URL`, if not given, where no other process
        /// can read the password
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// Only print what would be copied, or why it is refused
        #[arg(long)]
        plan: bool,
    },
    /// Take a move back, or call a copy off: the source is served again, and the target no more
    Reopen {
        /// What was moved; the `DATABASE_URL` of the settings, if not given
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// What it was moved to; the setting `COPY_TO_URL`, if not given
        #[arg(long, value_name = "URL")]
        to: Option<String>,
        /// Lose what the target has acknowledged since
        #[arg(long)]
        yes: bool,
        /// Do not ask the target, which is gone; no server may run on it
        #[arg(long, conflicts_with_all = ["to", "yes"])]
        without_target: bool,
    },
}

/// The commands about the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List events, the newest first
    List {
        /// Which events
        #[command(flatten)]
        filter: AuditFilter,
        /// How many at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Print all events in the order of the chain, one JSON object a line
    ///
    /// The last line is the signed end of the chain.
    Export {
        /// Begin after the event at this position
        #[arg(long, value_name = "POSITION", default_value_t = 0)]
        after: u64,
    },
    /// Check that no event was changed, removed or moved
    ///
    /// Names the first that was, and exits with 1. Prints the position and hash of the end; noted elsewhere and given as
    /// `--anchor` the next time, they also find a log that was put back to an earlier state as a whole.
    Verify {
        /// What was printed at an earlier time
        #[arg(long, value_name = "POSITION:HASH", value_parser = anchor)]
        anchor: Option<(u64, [u8; 32])>,
    },
}

/// Which events to list.
#[derive(Debug, Args)]
pub struct AuditFilter {
    /// Only about this user: id or e-mail address
    #[arg(long)]
    pub user: Option<String>,
    /// Only about this session
    #[arg(long, value_name = "ID")]
    pub session: Option<uuid::Uuid>,
    /// Only of this kind, such as `login.failed`
    #[arg(long)]
    pub kind: Option<countersign_domain::audit::Kind>,
    /// Only from this IPv4 address, or the /64 of this IPv6 address; refreshes are not found by it
    #[arg(long)]
    pub ip: Option<std::net::IpAddr>,
    /// Only at or after this time, such as `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    pub from: Option<jiff::Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<jiff::Timestamp>,
}

fn anchor(text: &str) -> Result<(u64, [u8; 32]), String> {
    let wrong = || {
        "must be what `audit verify` printed: a position, a colon and 64 hexadecimal digits"
            .to_owned()
    };
    let (position, hash) = text.split_once(':').ok_or_else(wrong)?;
    let position = position.parse().map_err(|_| wrong())?;
    let digits = hash.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (byte, pair) in bytes.iter_mut().zip(hash.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok((position, bytes))
}

/// The commands about settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the settings are valid, and what is wrong with them
    Check,
    /// Print every setting, its value and where it comes from, secrets hidden
    Show,
    /// Print a file that is made from the list of settings
    #[command(hide = true)]
    Example {
        /// Which one
        #[arg(default_value = "env")]
        file: ExampleFile,
    },
}

/// The files that are made from the list of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExampleFile {
    /// `.env.example`
    Env,
    /// `docs/settings.md`
    Docs,
}
