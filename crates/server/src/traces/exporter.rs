#![allow(
    clippy::disallowed_methods,
    reason = "a failure is told now and then, not for each batch"
)]

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::queue::Queue;

/// How often a collector that cannot be reached is worth a line.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Sends spans by another exporter, counts what became of them, and tells when they are lost.
pub(super) struct Telling<E> {
    inner: E,
    queue: Arc<Queue>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    failing: bool,
    at: Option<Instant>,
    lost: u64,
}

impl<E> Telling<E> {
    pub(super) fn new(inner: E, queue: Arc<Queue>) -> Self {
        Self {
            inner,
            queue,
            told: Mutex::default(),
        }
    }

    fn tell(&self, result: &OTelSdkResult) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let was_failing = std::mem::replace(&mut told.failing, result.is_err());
        let due = told.at.is_none_or(|at| at.elapsed() >= TELL_EVERY);
        match result {
            Ok(()) if was_failing => tracing::info!("the collector takes spans again"),
            Err(error) if due => {
                let lost = self.queue.lost() - told.lost;
                told.at = Some(Instant::now());
                told.lost = self.queue.lost();
                tracing::warn!(
                    %error,
                    lost,
                    "the collector at `OTEL_EXPORTER_OTLP_ENDPOINT` does not take spans"
                );
            }
            _ => {}
        }
    }
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.inner.export(batch).await;
        self.queue.leave(spans, result.is_ok());
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

impl<E> fmt::Debug for Telling<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telling")
    }
}
