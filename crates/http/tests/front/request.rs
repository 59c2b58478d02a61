//! How a test asks.

use std::net::SocketAddr;

use axum::body::Body;
use countersign_http::PeerAddress;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::answer::Answer;
use crate::app::App;
use crate::rules;

pub(crate) struct Request<'a> {
    app: &'a App,
    inner: http::Request<Body>,
}

impl App {
    pub(crate) fn get(&self, path: &str) -> Request<'_> {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Request<'_> {
        self.request(Method::POST, path)
    }

    pub(crate) fn patch(&self, path: &str) -> Request<'_> {
        self.request(Method::PATCH, path)
    }

    pub(crate) fn delete(&self, path: &str) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Request<'_> {
        let mut inner = http::Request::new(Body::empty());
        *inner.method_mut() = method;
        *inner.uri_mut() = path.parse().unwrap();
        let peer = SocketAddr::from(([203, 0, 113, 7], 4711));
        inner.extensions_mut().insert(PeerAddress(peer));
        Request { app: self, inner }
    }
}

impl Request<'_> {
    /// Comes from this address.
    pub(crate) fn from(mut self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), 4711);
        self.inner.extensions_mut().insert(PeerAddress(peer));
        self
    }

    /// Adds a header, beside others of the name.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).unwrap();
        self.inner.headers_mut().append(name, value);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header(AUTHORIZATION, format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    pub(crate) fn form(self, body: &str) -> Self {
        self.header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.to_owned())
    }

    pub(crate) fn body(mut self, body: impl Into<Body>) -> Self {
        *self.inner.body_mut() = body.into();
        self
    }

    /// Sends the request, and holds the answer to what holds for every answer.
    pub(crate) async fn send(self) -> Answer {
        let (method, uri) = (self.inner.method().clone(), self.inner.uri().clone());
        let response = self.app.router.clone().oneshot(self.inner).await.unwrap();
        let (head, body) = response.into_parts();
        let answer = Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        };
        rules::check(&method, uri.path(), &answer);
        answer
    }
}
