use rustix::process::{Resource, getrlimit, setrlimit};

use crate::settings::Settings;

/// File descriptors for everything that is not a public connection: files, the operator's
/// listener and its connections, SQLite.
const RESERVED: u64 = 100;

/// How many public connections there are file descriptors for, `wanted` at most. Raises the soft limit
/// of the process as far as it may. Without this a few hundred idle connections could take the
/// descriptors that the database and the operator's listener need.
pub(crate) fn room_for(wanted: usize, settings: &Settings) -> usize {
    let reserved = RESERVED + u64::from(settings.database_max_connections);
    let needed = wanted as u64 + reserved;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let raised = limit.maximum.map_or(needed, |maximum| maximum.min(needed));
        limit.current = Some(raised);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!(%error, "cannot raise the limit of open files");
        }
    }
    let Some(current) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let room = current.saturating_sub(reserved).max(1);
    let room = usize::try_from(room).unwrap_or(wanted).min(wanted);
    if room < wanted {
        tracing::warn!(
            "the limit of open files, {current}, leaves room for {room} connections instead of {wanted}: raise it \
             (`ulimit -n`, or `LimitNOFILE=` in a systemd unit)"
        );
    }
    room
}
