use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::settings::{LogFormat, Settings};

/// Sends log lines to standard error. Control characters in values are escaped by the formatter,
/// so that nothing a client sends can begin a line or colour a terminal.
pub(crate) fn start(settings: &Settings) {
    // One line for each connection that misbehaves would let clients write the log.
    let wanted = format!("h2=error,{}", settings.log_filter);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    // An earlier subscriber, as in tests, stays.
    let _ = match settings.log_format {
        LogFormat::Human => lines
            .with_target(false)
            .with_ansi(stderr().is_terminal())
            .try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
