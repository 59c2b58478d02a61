//! In the place of `traces` where the binary is built without OpenTelemetry: figures that stay at zero.

use std::convert::Infallible;
use std::time::Duration;

use countersign_http::{RequestSpan, Spans};
use prometheus_client::registry::Registry;

use crate::failure::Failure;
use crate::settings;

/// Figures of spans, of which there are none.
#[derive(Clone, Default)]
pub(crate) struct SpanFigures {}

impl SpanFigures {
    pub(crate) fn register(&self, _: &mut Registry) {}
}

/// Nobody: the settings are refused where they ask for spans.
pub(crate) struct Traces(Infallible);

impl Traces {
    pub(crate) fn start(_: &settings::Traces, _: SpanFigures) -> Result<Self, Failure> {
        Err(Failure::new("built without the feature `otel`"))
    }

    pub(crate) fn stop(&self, _: Duration) {
        match self.0 {}
    }
}

impl Spans for Traces {
    fn record(&self, _: &RequestSpan<'_>) -> Option<String> {
        match self.0 {}
    }
}
