//! What the server shows of itself: figures for `GET /metrics`, and one log line for each request.
//!
//! Both are made in one place, around every route. A request costs a look-up of its route and a few
//! atomic additions; whatever takes longer is read when somebody asks for the figures.

mod labels;
mod pulled;
mod route;
mod span;
mod trace_context;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::MatchedPath;
use countersign_flows::Flows;
use http::{HeaderValue, Request, StatusCode, Version as HttpVersion};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use labels::{Outcome, Reason, Version};
use route::{Asked, Route, Routes};
use span::Trace;

pub use span::{RequestSpan, Spans};
pub use trace_context::TraceParent;

/// Put into the answer to a refresh that got the same successor as before.
#[derive(Clone, Copy)]
pub(crate) struct Repeated;

/// Where a server shows itself, beside the log.
#[derive(Default)]
pub struct Outlets {
    /// Figures that are shown with those of the edge.
    pub registry: Registry,
    /// Who takes spans of requests, if somebody does.
    pub spans: Option<Arc<dyn Spans>>,
}

/// The figures of one server, and who writes its request log.
pub(crate) struct Sight {
    registry: Registry,
    spans: Option<Arc<dyn Spans>>,
    /// Whether clients reach the server by HTTPS.
    secure: bool,
    routes: Routes,
    in_flight: Gauge,
    given_up: Counter,
    login_success: Counter,
    login_failure: Family<Reason, Counter>,
    token_refresh: Family<Outcome, Counter>,
}

impl Sight {
    /// Adds to what the registry has already.
    pub(crate) fn new(flows: Arc<Flows>, outlets: Outlets, secure: bool) -> Self {
        let Outlets {
            mut registry,
            spans,
        } = outlets;
        let sight = Self {
            spans,
            secure,
            routes: Routes::new(&mut registry),
            in_flight: Gauge::default(),
            given_up: Counter::default(),
            login_success: Counter::default(),
            login_failure: Family::default(),
            token_refresh: Family::default(),
            registry,
        };
        // A series that is there from the start lets a rate see its first event.
        for reason in ["invalid_credentials", "account_disabled", "overloaded"] {
            drop(sight.login_failure.get_or_create(&Reason { reason }));
        }
        for outcome in labels::OUTCOMES {
            drop(sight.token_refresh.get_or_create(&Outcome { outcome }));
        }
        sight.registered(flows)
    }

    fn registered(mut self, flows: Arc<Flows>) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "auth_login_success",
            "Sign-ins that succeeded",
            self.login_success.clone(),
        );
        registry.register(
            "auth_login_failure",
            "Sign-ins that failed, by the code of the answer",
            self.login_failure.clone(),
        );
        registry.register(
            "auth_token_refresh",
            "Refreshes, by what came of them",
            self.token_refresh.clone(),
        );
        registry.register(
            "countersign_http_requests_in_flight",
            "Requests that have begun and are not answered",
            self.in_flight.clone(),
        );
        registry.register(
            "countersign_http_requests_given_up",
            "Requests whose client went away before the answer",
            self.given_up.clone(),
        );
        let build = Family::<Version, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&Version { version }).set(1);
        registry.register("countersign_build_info", "This binary", build);
        registry.register_collector(Box::new(pulled::Pulled(flows)));
        self
    }

    /// All figures, as OpenMetrics 1.0 text.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(32 * 1024);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// A request has begun.
    pub(crate) fn begin<'a, B>(
        &'a self,
        flows: &'a Flows,
        request: &Request<B>,
        request_id: HeaderValue,
    ) -> Watched<'a> {
        let template = request.extensions().get::<MatchedPath>();
        self.in_flight.inc();
        Watched {
            sight: self,
            flows,
            route: self
                .routes
                .find(template.map(MatchedPath::as_str), request.method()),
            request_id,
            trace: Trace::read(request.headers(), self.spans.is_some()),
            version: request.version(),
            began: flows.elapsed(),
            answered: false,
        }
    }

    fn count(&self, route: &Route, status: StatusCode, end: End, took: Duration) {
        self.routes.count(route, status);
        if let Some(operation) = &route.duration {
            operation.observe(took.as_secs_f64());
        }
        match route.asked {
            Asked::Login => match (status.is_success(), end.code) {
                (true, _) => drop(self.login_success.inc()),
                (false, code) => {
                    let reason = code.unwrap_or("other");
                    self.login_failure.get_or_create(&Reason { reason }).inc();
                }
            },
            Asked::Refresh => {
                let outcome = labels::outcome(status, end);
                self.token_refresh.get_or_create(&Outcome { outcome }).inc();
            }
            Asked::Other => {}
        }
    }
}

/// What the edge knows of an answer beside its status.
#[derive(Clone, Copy)]
pub(crate) struct End {
    /// The code of the problem.
    pub(crate) code: Option<&'static str>,
    /// A refresh got the same successor as before.
    pub(crate) repeated: bool,
}

/// A request under way. Dropped without an answer, it was given up by its client.
pub(crate) struct Watched<'a> {
    sight: &'a Sight,
    flows: &'a Flows,
    route: &'a Route,
    request_id: HeaderValue,
    trace: Trace,
    version: HttpVersion,
    began: Duration,
    answered: bool,
}

/// A line of the request log. The level must be a constant, and health checks are at a lower one.
macro_rules! line {
    ($watched:expr, $level:expr, $took:expr, $recorded:expr, $text:literal $(, $field:ident = $value:expr)*) => {
        tracing::event!(
            target: "request",
            $level,
            method = $watched.route.method,
            route = $watched.route.template,
            $($field = $value,)*
            duration_us = u64::try_from($took.as_micros()).unwrap_or(u64::MAX),
            request_id = $watched.request_id.to_str().unwrap_or_default(),
            trace_id = $watched.trace_id($recorded),
            $text,
        )
    };
}

impl Watched<'_> {
    /// The answer is there.
    pub(crate) fn end(mut self, status: StatusCode, end: End) {
        self.answered = true;
        let took = self.took();
        self.sight.count(self.route, status, end, took);
        let recorded = self.record(Some(status), end.code, took);
        let recorded = recorded.as_deref();
        let (status, code) = (status.as_u16(), end.code);
        match self.route.quiet {
            false => {
                line!(
                    self,
                    tracing::Level::INFO,
                    took,
                    recorded,
                    "answered",
                    status = status,
                    code = code
                );
            }
            true => {
                line!(
                    self,
                    tracing::Level::DEBUG,
                    took,
                    recorded,
                    "answered",
                    status = status,
                    code = code
                );
            }
        }
    }

    fn took(&self) -> Duration {
        self.flows.elapsed().saturating_sub(self.began)
    }

    /// Gives the request away as a span; answers the id of its trace. What machines ask for every
    /// few seconds is no part of anybody's trace.
    fn record(
        &self,
        status: Option<StatusCode>,
        code: Option<&'static str>,
        took: Duration,
    ) -> Option<String> {
        let spans = self.sight.spans.as_ref()?;
        if self.route.quiet {
            return None;
        }
        spans.record(&RequestSpan {
            parent: self.trace.parent.as_ref(),
            trace_state: self.trace.state(),
            method: self.route.method,
            route: self.route.matched().then_some(&self.route.template),
            secure: self.sight.secure,
            version: self.version,
            status,
            code,
            request_id: self.request_id.to_str().unwrap_or_default(),
            took,
        })
    }

    /// The trace that the request was recorded in, or else that it came with.
    fn trace_id<'s>(&'s self, recorded: Option<&'s str>) -> Option<&'s str> {
        recorded.or_else(|| Some(self.trace.parent.as_ref()?.trace_id()))
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.sight.in_flight.dec();
        if !self.answered {
            self.sight.given_up.inc();
            let took = self.took();
            let recorded = self.record(None, None, took);
            let recorded = recorded.as_deref();
            line!(
                self,
                tracing::Level::INFO,
                took,
                recorded,
                "given up by its client"
            );
        }
    }
}
