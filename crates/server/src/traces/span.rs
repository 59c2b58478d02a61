//! A request in the words of OpenTelemetry's semantic conventions for HTTP (version 1.37), server spans.

#![allow(clippy::disallowed_methods, reason = "a span has a time")]

use std::str::FromStr;
use std::time::SystemTime;

use countersign_http::RequestSpan;
use http::Version;
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
    TraceState, Tracer,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

use super::queue::Queue;

/// Puts a span of the request into the queue. What a client chose freely is not in it: no path, no
/// query, no address, no user agent.
pub(super) fn record(
    tracer: &SdkTracer,
    queue: &Queue,
    request: &RequestSpan<'_>,
) -> Option<String> {
    if request.parent.is_some_and(|parent| !parent.sampled()) {
        return None;
    }
    // Before the span is made: once there is one, dropping it sends it.
    if !queue.join() {
        return None;
    }
    let now = SystemTime::now();
    let builder = SpanBuilder::from_name(name(request))
        .with_kind(SpanKind::Server)
        .with_start_time(now.checked_sub(request.took).unwrap_or(now))
        .with_attributes(attributes(request));
    let mut span = tracer.build_with_context(builder, &parent(request));
    if !span.is_recording() {
        queue.forget();
        return None;
    }
    if failure(request).is_some() {
        span.set_status(Status::error(""));
    }
    let trace = span.span_context().trace_id().to_string();
    span.end_with_timestamp(now);
    Some(trace)
}

/// `POST /auth/login`; where there is no such route, the method alone.
fn name(request: &RequestSpan<'_>) -> String {
    let method = match request.method {
        "other" => "HTTP",
        method => method,
    };
    match request.route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    }
}

fn parent(request: &RequestSpan<'_>) -> Context {
    let Some(parent) = request.parent else {
        return Context::new();
    };
    let (Ok(trace), Ok(span)) = (
        TraceId::from_hex(parent.trace_id()),
        SpanId::from_hex(parent.parent_id()),
    ) else {
        return Context::new();
    };
    let flags = match parent.sampled() {
        true => TraceFlags::SAMPLED,
        false => TraceFlags::default(),
    };
    let state = request.trace_state.map(TraceState::from_str);
    let state = state.and_then(Result::ok).unwrap_or_default();
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, true, state))
}

fn attributes(request: &RequestSpan<'_>) -> Vec<KeyValue> {
    let method = match request.method {
        "other" => "_OTHER",
        method => method,
    };
    let scheme = if request.secure { "https" } else { "http" };
    let mut attributes = Vec::with_capacity(10);
    attributes.push(KeyValue::new("http.request.method", method));
    attributes.push(KeyValue::new("url.scheme", scheme));
    // A path may hold anything, and those of routes with a part to fill in hold an id.
    let path = request.route.filter(|route| !route.contains('{'));
    let path = path.unwrap_or("REDACTED").to_owned();
    attributes.push(KeyValue::new("url.path", path));
    if let Some(route) = request.route {
        attributes.push(KeyValue::new("http.route", route.to_owned()));
    }
    if let Some(version) = version(request.version) {
        attributes.push(KeyValue::new("network.protocol.version", version));
    }
    if let Some(status) = request.status {
        let status = i64::from(status.as_u16());
        attributes.push(KeyValue::new("http.response.status_code", status));
    }
    if let Some(failure) = failure(request) {
        attributes.push(KeyValue::new("error.type", failure));
    }
    if let Some(code) = request.code {
        attributes.push(KeyValue::new("countersign.problem.code", code));
    }
    // As an answer's field: what the caller sent is only taken over if it is fit to be.
    let id = vec![request.request_id.to_owned().into()];
    let id = Value::Array(Array::String(id));
    attributes.push(KeyValue::new("http.response.header.x-request-id", id));
    attributes
}

/// What kind of failure of the server's it was, if it was one; a client that was refused is none.
fn failure(request: &RequestSpan<'_>) -> Option<&'static str> {
    match request.status {
        None => Some("given_up_by_client"),
        Some(status) if status.is_server_error() => Some(request.code.unwrap_or("500")),
        Some(_) => None,
    }
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{
        BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanData, SpanExporter,
    };

    use super::*;
    use crate::traces::SpanFigures;
    use crate::traces::exporter::Telling;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    struct Traced {
        provider: SdkTracerProvider,
        queue: Arc<Queue>,
        kept: Kept,
    }

    fn traced(sampler: Sampler) -> Traced {
        let queue = Arc::new(Queue::new(2, SpanFigures::default()));
        let kept = Kept::default();
        let never = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_secs(3_600));
        let telling = Telling::new(kept.clone(), Arc::clone(&queue));
        let processor = BatchSpanProcessor::builder(telling).with_batch_config(never.build());
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor.build())
            .with_sampler(sampler)
            .build();
        Traced {
            provider,
            queue,
            kept,
        }
    }

    impl Traced {
        /// Whether it was recorded.
        fn record(&self) -> bool {
            let request = RequestSpan {
                parent: None,
                trace_state: None,
                method: "GET",
                route: Some("/auth/me"),
                secure: true,
                version: Version::HTTP_2,
                status: None,
                code: None,
                request_id: "7",
                took: Duration::from_millis(3),
            };
            let tracer = self.provider.tracer("test");
            record(&tracer, &self.queue, &request).is_some()
        }

        fn sent(&self) -> usize {
            self.provider.force_flush().unwrap();
            self.kept.0.lock().unwrap().len()
        }
    }

    #[test]
    fn what_finds_no_room_is_not_sent_and_the_next_finds_room_again() {
        let traced = traced(Sampler::AlwaysOn);
        let recorded: Vec<bool> = (0..5).map(|_| traced.record()).collect();
        assert_eq!(recorded, [true, true, false, false, false]);
        assert_eq!((traced.sent(), traced.queue.lost()), (2, 3));
        assert!(traced.record());
        assert_eq!((traced.sent(), traced.queue.lost()), (3, 3));
    }

    #[test]
    fn what_is_not_sampled_takes_no_room() {
        let traced = traced(Sampler::AlwaysOff);
        assert!((0..5).all(|_| !traced.record()));
        assert_eq!((traced.sent(), traced.queue.lost()), (0, 0));
    }

    #[test]
    fn a_span_lasts_as_long_as_its_request() {
        let traced = traced(Sampler::AlwaysOn);
        traced.record();
        traced.sent();
        let spans = traced.kept.0.lock().unwrap();
        let took = spans[0].end_time.duration_since(spans[0].start_time);
        assert_eq!(took.unwrap(), Duration::from_millis(3));
    }
}
