//! What holds for every route: request ids, problems written down, headers, panics caught.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use countersign_flows::Flows;
use http::header::{
    ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, AUTHORIZATION,
    CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode, Version};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::client_address::TrustedProxies;
use crate::context::RequestId;
use crate::device::DEVICE;
use crate::drain::Drain;
use crate::feed::Hub;
use crate::moving;
use crate::problem::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Problem};
use crate::sight::{End, Outlets, Repeated, Sight};
use crate::standings::{RATE_LIMIT, RATE_LIMIT_POLICY, Standings};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a problem keeps of the answer in whose place it is written: what the router and the CORS
/// rules had to say.
const KEPT: [HeaderName; 4] = [
    ALLOW,
    VARY,
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS,
];

/// What the edge needs to know of the settings.
#[derive(Clone, Debug)]
pub struct EdgeSettings {
    /// The URL that clients know this server by, without a slash at the end.
    pub issuer: String,
    /// Whose word about the client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// Which web pages may call this server from a browser.
    pub cors: CorsOrigins,
    /// How many clients may follow the feed at a time.
    pub feed_subscribers: usize,
}

impl EdgeSettings {
    fn secure(&self) -> bool {
        self.issuer.starts_with("https:")
    }
}

/// Which web pages may call this server from a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Pages of this machine, on any port: for development.
    Loopback,
    /// Pages of these origins, such as `https://app.example.org`.
    List(Vec<String>),
}

/// What handlers share.
#[derive(Clone)]
pub struct Edge {
    pub(crate) flows: Arc<Flows>,
    pub(crate) settings: Arc<EdgeSettings>,
    pub(crate) sight: Arc<Sight>,
    pub(crate) drain: Drain,
    pub(crate) feed: Arc<Hub>,
}

impl Edge {
    /// An edge for these use cases.
    pub fn new(flows: Arc<Flows>, settings: EdgeSettings) -> Self {
        Self::with_outlets(flows, settings, Outlets::default())
    }

    /// An edge for these use cases that shows itself there.
    pub fn with_outlets(flows: Arc<Flows>, settings: EdgeSettings, mut outlets: Outlets) -> Self {
        let secure = settings.secure();
        let registry = &mut outlets.registry;
        let feed = Hub::new(Arc::clone(&flows), settings.feed_subscribers, registry);
        Self {
            feed: Arc::new(feed),
            sight: Arc::new(Sight::new(Arc::clone(&flows), outlets, secure)),
            flows,
            settings: Arc::new(settings),
            drain: Drain::default(),
        }
    }

    /// The same, about to stop when this says so.
    #[must_use]
    pub fn draining_with(self, drain: Drain) -> Self {
        Self { drain, ..self }
    }

    /// Tells those who follow the feed what there is to tell, until `stopped`; then their streams end. The server
    /// runs this all the time.
    pub async fn feed(&self, stopped: impl Future<Output = ()>) {
        self.feed.run(stopped).await;
    }

    /// Tells those who follow the feed what has come by now, and how fresh that is. [`Edge::feed`] does so by itself.
    pub fn feed_now(&self) {
        self.feed.beat();
    }

    /// Whether clients reach this server by HTTPS.
    pub(crate) fn secure(&self) -> bool {
        self.settings.secure()
    }

    /// Puts around `routes` what holds for all of them.
    pub(crate) fn around(self, routes: Router<Self>) -> Router {
        let cors = cors(&self.settings.cors);
        routes
            .layer(from_fn_with_state(self.clone(), moving::guard))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(cors)
            .layer(from_fn_with_state(self.clone(), settle))
            .with_state(self)
    }
}

async fn settle(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let id = request
        .headers()
        .get(REQUEST_ID)
        .filter(|value| acceptable(value))
        .cloned()
        .unwrap_or_else(|| new_request_id(&edge));
    let watched = edge.sight.begin(&edge.flows, &request, id.clone());
    request.extensions_mut().insert(RequestId(id.clone()));
    let version = request.version();
    let standings = Standings::default();
    request.extensions_mut().insert(standings.clone());
    let mut response = next.run(request).await;
    let mut end = End {
        code: None,
        repeated: response.extensions().get::<Repeated>().is_some(),
    };
    if let Some(problem) = problem_of(&mut response) {
        end.code = Some(problem.kind.code);
        let found = std::mem::take(response.headers_mut());
        response = problem.write(id.to_str().unwrap_or_default());
        let kept = KEPT.into_iter().filter_map(|name| {
            let value = found.get(&name)?.clone();
            Some((name, value))
        });
        response.headers_mut().extend(kept);
    }
    let headers = response.headers_mut();
    standings.write(headers);
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Nearly every answer holds a token or personal data; the few public ones say so themselves.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(no_store);
    if edge.drain.begun() && version <= Version::HTTP_11 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    watched.end(response.status(), end);
    response
}

/// What the router found out without a handler becomes a problem like any other.
fn problem_of(response: &mut Response) -> Option<Problem> {
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => Some(problem),
        None if response.status() == StatusCode::NOT_FOUND => Some((&NOT_FOUND).into()),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            Some((&METHOD_NOT_ALLOWED).into())
        }
        None => None,
    }
}

/// A caller's own id is kept if it is 1 to 128 visible ASCII characters.
fn acceptable(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=128).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

fn new_request_id(edge: &Edge) -> HeaderValue {
    let id = edge.flows.new_request_id();
    HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged where; its message may hold what a client sent.
    Problem::from(&INTERNAL).into_response()
}

fn cors(origins: &CorsOrigins) -> CorsLayer {
    let allow = match origins {
        CorsOrigins::Loopback => AllowOrigin::predicate(|origin, _| is_loopback(origin)),
        CorsOrigins::List(list) => {
            let list = list.iter().filter_map(|origin| origin.parse().ok());
            AllowOrigin::list(list.collect::<Vec<HeaderValue>>())
        }
    };
    CorsLayer::new()
        .allow_origin(allow)
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            REQUEST_ID,
            DEVICE,
            // Swagger UI sends it with its sign-in.
            HeaderName::from_static("x-requested-with"),
        ])
        .expose_headers([
            REQUEST_ID,
            RETRY_AFTER,
            LOCATION,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            DEVICE,
        ])
        .max_age(Duration::from_secs(600))
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let host_and_port = origin.to_str().ok().and_then(|origin| {
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
    });
    let host = host_and_port.map(|text| match text.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    });
    matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_origins() {
        let is = |origin: &str| is_loopback(&origin.parse().unwrap());
        for origin in [
            "http://localhost",
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "https://[::1]:3000",
            "http://[::1]",
        ] {
            assert!(is(origin), "{origin}");
        }
        for origin in [
            "null",
            "http://localhost.evil.org",
            "http://evil.org:80",
            "http://127.0.0.1.evil.org:1",
            "ftp://localhost",
            "http://localhost:80@evil.org",
        ] {
            assert!(!is(origin), "{origin}");
        }
    }

    #[test]
    fn request_ids_of_callers() {
        let longest = "x".repeat(128);
        for (id, accepted) in [
            ("a", true),
            (longest.as_str(), true),
            ("a b", false),
            ("", false),
            ("é", false),
            (&format!("{longest}x"), false),
        ] {
            let value = HeaderValue::from_bytes(id.as_bytes()).unwrap();
            assert_eq!(acceptable(&value), accepted, "{id}");
        }
    }
}
