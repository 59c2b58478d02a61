//! The routes that are told apart: those of the API description, so that no request can add one.

use std::collections::HashMap;
use std::sync::OnceLock;

use http::{Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use utoipa::openapi::path::Operation as Described;

use super::labels::{Operation, RequestLabels};
use crate::routes;

/// Upper bounds in seconds: from half a millisecond, since most answers take less, to ten seconds,
/// which a password hash with a full queue before it may take.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "other",
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Routes without a description: files of the page at `/docs`, and the figures themselves.
const UNDESCRIBED: [&str; 2] = ["/docs/{file}", "/metrics"];

/// What belongs to no route.
const UNMATCHED: &str = "unmatched";

/// Asked for every few seconds by machines.
const QUIET: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// One method of one route.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) template: String,
    /// Where the route has that method.
    pub(super) duration: Option<Histogram>,
    /// Its log lines are at a level that is off by default.
    pub(super) quiet: bool,
    pub(super) asked: Asked,
    /// By class of status.
    answered: [OnceLock<Counter>; 5],
}

impl Route {
    /// Whether there is such a route.
    pub(super) fn matched(&self) -> bool {
        self.template != UNMATCHED
    }
}

/// Which of the operations that have figures of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Login,
    Refresh,
    Other,
}

/// Every route and every method, prepared so that a request allocates nothing.
pub(super) struct Routes {
    known: HashMap<String, [Route; METHODS.len()]>,
    unmatched: [Route; METHODS.len()],
    requests: Family<RequestLabels, Counter>,
}

/// Makes the histograms of a family.
#[derive(Clone)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

impl Routes {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let durations: Family<Operation, Histogram, Durations> =
            Family::new_with_constructor(Durations);
        registry.register(
            "auth_operation_duration_seconds",
            "Time from the request's head to the answer, by operation of the API",
            durations.clone(),
        );
        let requests = Family::default();
        registry.register(
            "countersign_http_requests",
            "Answered requests, by route and class of status",
            Family::clone(&requests),
        );
        let mut known: HashMap<_, _> = UNDESCRIBED
            .iter()
            .map(|path| ((*path).to_owned(), methods(path)))
            .collect();
        for (path, item) in routes::described().into_openapi().paths.paths {
            let mut methods = methods(&path);
            let described = [
                ("GET", item.get),
                ("POST", item.post),
                ("PATCH", item.patch),
                ("PUT", item.put),
                ("DELETE", item.delete),
            ];
            for (method, operation) in described {
                let route = methods.iter_mut().find(|route| route.method == method);
                if let (Some(route), Some(operation)) = (route, operation) {
                    describe(route, operation, &durations, &requests);
                }
            }
            known.insert(path, methods);
        }
        Self {
            known,
            unmatched: methods(UNMATCHED),
            requests,
        }
    }

    pub(super) fn find(&self, template: Option<&str>, method: &Method) -> &Route {
        let methods = template.and_then(|template| self.known.get(template));
        let [.., other] = methods.unwrap_or(&self.unmatched);
        let mut routes = methods.unwrap_or(&self.unmatched).iter();
        routes
            .find(|route| route.method == method.as_str())
            .unwrap_or(other)
    }

    pub(super) fn count(&self, route: &Route, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        let class = class.min(CLASSES.len() - 1);
        counter(route, class, &self.requests).inc();
    }
}

fn methods(template: &str) -> [Route; METHODS.len()] {
    METHODS.map(|method| Route {
        method,
        template: template.to_owned(),
        duration: None,
        quiet: QUIET.contains(&template),
        asked: Asked::Other,
        answered: Default::default(),
    })
}

fn describe(
    route: &mut Route,
    described: Described,
    durations: &Family<Operation, Histogram, Durations>,
    requests: &Family<RequestLabels, Counter>,
) {
    let operation = described.operation_id.unwrap_or_default();
    route.asked = match operation.as_str() {
        "login" => Asked::Login,
        "refresh" => Asked::Refresh,
        _ => Asked::Other,
    };
    route.duration = Some(durations.get_or_create_owned(&Operation { operation }));
    // There from the start, so that a rate sees the first one.
    for (class, name) in CLASSES.iter().enumerate() {
        if ["2xx", "4xx", "5xx"].contains(name) {
            counter(route, class, requests);
        }
    }
}

fn counter<'a>(
    route: &'a Route,
    class: usize,
    requests: &Family<RequestLabels, Counter>,
) -> &'a Counter {
    route.answered[class].get_or_init(|| {
        requests.get_or_create_owned(&RequestLabels {
            method: route.method,
            route: route.template.clone(),
            status: CLASSES[class],
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_make_up_has_one_label() {
        let routes = Routes::new(&mut Registry::default());
        let find = |path, method: &str| {
            let route = routes.find(path, &method.parse().unwrap());
            (route.template.as_str(), route.method)
        };
        assert_eq!(find(Some("/auth/me"), "GET"), ("/auth/me", "GET"));
        assert_eq!(find(Some("/auth/me"), "BREW"), ("/auth/me", "other"));
        assert_eq!(find(Some("/auth/you"), "GET"), ("unmatched", "GET"));
        assert_eq!(find(None, "get"), ("unmatched", "other"));
    }

    #[test]
    fn operations_that_are_counted_by_outcome_are_there() {
        let routes = Routes::new(&mut Registry::default());
        let asked = |path| routes.find(Some(path), &Method::POST).asked;
        assert!(asked("/auth/login") == Asked::Login);
        assert!(asked("/auth/refresh") == Asked::Refresh);
    }
}
