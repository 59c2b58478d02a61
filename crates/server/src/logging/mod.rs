//! Log lines, on standard error.

mod gathered;

use std::io::{IsTerminal, Stderr, stderr};

use tracing::Metadata;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::EitherWriter;

use crate::settings::{LogFormat, Settings};

pub(crate) use gathered::Gathered;

/// Where the lines about requests come from.
const REQUEST: &str = "request";

/// Sends log lines to standard error. Control characters in values are escaped by the formatter,
/// so that nothing a client sends can begin a line or colour a terminal.
pub(crate) fn start(settings: &Settings) -> Gathered {
    // One line for each connection that misbehaves would let clients write the log.
    let wanted = format!("h2=error,{}", settings.log_filter);
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    let requests = Gathered::start(stderr());
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Writers(requests.clone()));
    // An earlier subscriber, as in tests, stays.
    let _ = match settings.log_format {
        LogFormat::Human => lines
            .with_target(false)
            .with_ansi(stderr().is_terminal())
            .try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    requests
}

/// Lines about requests, of which there may be thousands a second, are gathered; all others are
/// written at once, so that none is missing after a crash.
struct Writers(Gathered);

impl<'a> MakeWriter<'a> for Writers {
    type Writer = EitherWriter<Gathered, Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        EitherWriter::B(stderr())
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Self::Writer {
        match about.target() {
            REQUEST => EitherWriter::A(self.0.clone()),
            _ => self.make_writer(),
        }
    }
}
