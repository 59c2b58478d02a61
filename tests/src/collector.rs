//! An OpenTelemetry collector that keeps what it is sent.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A collector on loopback, which speaks as much HTTP as an exporter needs.
#[derive(Debug)]
pub struct Collector {
    address: String,
    taken: Arc<Mutex<Vec<Posted>>>,
}

/// A request to the collector.
#[derive(Debug, Clone)]
pub struct Posted {
    /// Its head, in lower case.
    pub head: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Collector {
    /// One that takes everything.
    pub async fn start() -> Collector {
        Collector::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
    }

    /// One that gives this answer, or none if it is empty.
    pub async fn answering(answer: &'static str) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let taken = Arc::default();
        let keep = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, answer, Arc::clone(&keep)));
            }
        });
        Collector { address, taken }
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is for it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn posted(&self) -> Vec<Posted> {
        self.taken.lock().expect("taken").clone()
    }

    /// All spans so far, each with its attributes and those of its resource.
    pub fn spans(&self) -> Vec<Seen> {
        let mut seen = Vec::new();
        for posted in self.posted() {
            let request = ExportTraceServiceRequest::decode(&*posted.body).expect("spans");
            for of_resource in request.resource_spans {
                let resource = of_resource.resource.expect("a resource").attributes;
                for span in of_resource.scope_spans.into_iter().flat_map(|s| s.spans) {
                    let all = resource.iter().chain(&span.attributes);
                    let attributes = all.map(|one| (one.key.clone(), text(&one.value)));
                    seen.push(Seen {
                        attributes: attributes.collect(),
                        span,
                    });
                }
            }
        }
        seen
    }
}

/// A span that was taken.
#[derive(Debug, Clone)]
pub struct Seen {
    /// As it was sent.
    pub span: Span,
    /// Its attributes and those of its resource, as texts, in the order in which they were sent.
    pub attributes: Vec<(String, String)>,
}

impl Seen {
    /// An attribute, if there is one of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn text(value: &Option<opentelemetry_proto::tonic::common::v1::AnyValue>) -> String {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => {
            let items = list.values.iter().map(|item| text(&Some(item.clone())));
            items.collect::<Vec<_>>().join(",")
        }
        other => panic!("not a value of ours: {other:?}"),
    }
}

/// Serves one connection until it is closed.
async fn take(mut stream: TcpStream, answer: &str, keep: Arc<Mutex<Vec<Posted>>>) {
    let mut read = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        while let Some((posted, length)) = whole(&read) {
            read.drain(..length);
            keep.lock().expect("taken").push(posted);
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => read.extend_from_slice(&buffer[..length]),
        }
    }
}

/// The first request, if all of it is there, and its length.
fn whole(read: &[u8]) -> Option<(Posted, usize)> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length")
        .parse::<usize>()
        .expect("a number");
    let body = read.get(end..end + length)?.to_vec();
    Some((Posted { head, body }, end + length))
}
