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
    let now = SystemTime::now();
    let builder = SpanBuilder::from_name(name(request))
        .with_kind(SpanKind::Server)
        .with_start_time(now.checked_sub(request.took).unwrap_or(now))
        .with_attributes(attributes(request));
    let mut span = tracer.build_with_context(builder, &parent(request));
    if !span.is_recording() || !queue.join() {
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
