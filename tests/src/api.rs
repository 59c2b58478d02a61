//! A client of the HTTP interface that looks at everything and decides nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Method, RequestBuilder};
use serde_json::{Value, json};

/// A client of one server. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: Client,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

/// What a sign-in or a refresh hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

/// Goes straight to loopback without TLS: reading the system's certificates for each client would take longer
/// than many a test.
fn bare_client() -> ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([])
}

impl Api {
    pub fn new(base: &str) -> Api {
        let http = bare_client()
            .timeout(Duration::from_secs(30))
            .build()
            .expect("client");
        Api {
            base: base.into(),
            http,
        }
    }

    /// Speaks to this server by this client, however that gets there.
    pub fn with_client(base: &str, http: Client) -> Api {
        Api {
            base: base.into(),
            http,
        }
    }

    /// A client with another address of this machine, in `127.0.0.0/8`.
    pub fn from_address(base: &str, address: Ipv4Addr) -> Api {
        let http = bare_client()
            .local_address(IpAddr::from(address))
            .timeout(Duration::from_secs(30))
            .build()
            .expect("client");
        Api {
            base: base.into(),
            http,
        }
    }

    /// A client that opens a connection of its own, and begins with HTTP/2 without asking.
    pub fn h2c(base: &str) -> Api {
        let http = bare_client()
            .http2_prior_knowledge()
            .build()
            .expect("client");
        Api {
            base: base.into(),
            http,
        }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends, and returns an answer of any status; a broken connection is an error.
    pub async fn try_send(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        Ok(Answer {
            status,
            headers,
            text,
        })
    }

    /// Sends, and panics if no answer comes.
    pub async fn send(request: RequestBuilder) -> Answer {
        Api::try_send(request).await.expect("an answer")
    }

    pub async fn get(&self, path: &str) -> Answer {
        Api::send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        Api::send(self.request(Method::POST, path).json(&body)).await
    }

    /// A request with a bearer token; a body of `null` is none.
    pub async fn with_token(&self, method: Method, path: &str, token: &str, body: Value) -> Answer {
        let request = self.request(method, path).bearer_auth(token);
        Api::send(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    pub async fn register(&self, email: &str, password: &str) -> Answer {
        self.post(
            "/auth/register",
            json!({"email": email, "password": password}),
        )
        .await
    }

    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/login", json!({"email": email, "password": password}))
            .await
    }

    pub async fn refresh(&self, refresh_token: &str) -> Answer {
        self.post("/auth/refresh", json!({"refresh_token": refresh_token}))
            .await
    }

    /// Ends the session of a refresh token.
    pub async fn logout(&self, refresh_token: &str) -> Answer {
        self.post("/auth/logout", json!({"refresh_token": refresh_token}))
            .await
    }

    pub async fn me(&self, access_token: &str) -> Answer {
        self.with_token(Method::GET, "/auth/me", access_token, Value::Null)
            .await
    }

    pub async fn change_password(&self, access_token: &str, current: &str, new: &str) -> Answer {
        let body = json!({"current_password": current, "new_password": new});
        self.with_token(Method::POST, "/auth/password/change", access_token, body)
            .await
    }

    /// Registers and signs in.
    pub async fn new_session(&self, email: &str, password: &str) -> Tokens {
        self.register(email, password).await.expect(201);
        self.login(email, password).await.tokens()
    }
}

impl Answer {
    /// Panics unless the status is this one; returns the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(
            self.status, status,
            "answer: {}\n{:?}",
            self.text, self.headers
        );
        self.json()
    }

    /// Panics unless it is a problem of this status and code, in the form that every error has.
    #[track_caller]
    pub fn expect_problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.text
        );
        assert_eq!(body["code"], code, "{}", self.text);
        assert_eq!(body["type"], format!("/problems/{code}"), "{}", self.text);
        assert_eq!(body["status"], status, "{}", self.text);
        assert_eq!(
            body["request_id"],
            self.header("x-request-id"),
            "{}",
            self.text
        );
        body
    }

    /// The tokens of a 200.
    #[track_caller]
    pub fn tokens(&self) -> Tokens {
        let body = self.expect(200);
        let text = |name: &str| body[name].as_str().expect(name).to_owned();
        Tokens {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }

    /// The body; `null` if there is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.text.is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// A header, or the empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// A problem's code, or the empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}
