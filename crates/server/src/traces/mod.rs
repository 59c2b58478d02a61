//! Spans of requests, sent to an OpenTelemetry collector by OTLP over HTTP.
//!
//! A request only puts its span into a queue; a thread of the SDK sends what has gathered. So a
//! collector that is slow, or away, costs spans and no request its time.

mod exporter;
mod queue;
mod span;

use std::sync::Arc;
use std::time::Duration;

use countersign_http::{RequestSpan, Spans};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use reqwest::blocking::Client;
use reqwest::redirect;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use exporter::Telling;
use queue::Queue;

pub(crate) use queue::SpanFigures;

/// How many spans wait at most, some 700 bytes each.
const ROOM: usize = 8_192;

/// How many are sent at once.
const BATCH: usize = 512;

/// How long spans wait at most until they are sent.
const DELAY: Duration = Duration::from_secs(2);

/// How long the collector may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who takes the spans.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    queue: Arc<Queue>,
}

impl Traces {
    /// Starts the thread that sends. The collector is not asked whether it is there: it may come later.
    pub(crate) fn start(
        settings: &settings::Traces,
        figures: SpanFigures,
    ) -> Result<Self, Failure> {
        let queue = Arc::new(Queue::new(ROOM, figures));
        let sender = sender(settings).map_err(|error| {
            let message = format!(
                "cannot send spans to `OTEL_EXPORTER_OTLP_ENDPOINT` ({error}): correct it, or remove it"
            );
            Failure::with(Exit::Settings, message)
        })?;
        let batches = BatchConfigBuilder::default()
            // The queue is bounded by `Queue`, which counts what it refuses.
            .with_max_queue_size(ROOM + BATCH)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(Telling::new(sender, Arc::clone(&queue)))
            .with_batch_config(batches)
            .build();
        let share = f64::from(settings.per_million) / 1e6;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                share,
            ))))
            .with_resource(resource(settings))
            .build();
        let tracer = provider.tracer("countersign");
        Ok(Self {
            provider,
            tracer,
            queue,
        })
    }

    /// Sends what waits, `longest` at most. Blocks.
    pub(crate) fn stop(&self, longest: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(longest) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl Spans for Traces {
    fn record(&self, request: &RequestSpan<'_>) -> Option<String> {
        span::record(&self.tracer, &self.queue, request)
    }
}

fn sender(settings: &settings::Traces) -> Result<SpanExporter, String> {
    let headers = settings.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.expose().to_owned()));
    SpanExporter::builder()
        .with_http()
        .with_http_client(client(&settings.url)?)
        .with_endpoint(&settings.url)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .with_headers(headers.collect())
        .build()
        .map_err(|error| error.to_string())
}

/// Made on a thread of its own: it brings a runtime along, which cannot be started within another.
fn client(url: &str) -> Result<Client, String> {
    let mut builder = Client::builder()
        .timeout(PATIENCE)
        .redirect(redirect::Policy::none());
    if url.starts_with("http:") {
        // The system's certificates need not exist, nor be read.
        builder = builder.tls_certs_only([]);
    }
    std::thread::spawn(move || builder.build())
        .join()
        .map_err(|_| "panicked".to_owned())?
        .map_err(|error| error.to_string())
}

/// What all spans have in common. Nothing is taken from the machine: its name may say more than it
/// should, and the collector's own detectors know it.
fn resource(settings: &settings::Traces) -> Resource {
    Resource::builder_empty()
        .with_service_name(settings.service.clone())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build()
}
