//! One kept-alive connection, which sends one request after the other.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    address: String,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Connection> {
        Connection::begin(address, TcpStream::connect(address).await?).await
    }

    /// From another address of this machine.
    pub(crate) async fn open_from(address: &str, own: Ipv4Addr) -> Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((own, 0).into())?;
        Connection::begin(address, socket.connect(address.parse()?).await?).await
    }

    async fn begin(address: &str, stream: TcpStream) -> Result<Connection> {
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; the next request reports what goes wrong.
        tokio::spawn(driver);
        Ok(Connection {
            sender,
            address: address.into(),
        })
    }

    /// Sends a request without a body, with a bearer token if there is one; the answer must be a 200.
    pub(crate) async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Bytes> {
        let mut request = Request::get(path).header(header::HOST, &self.address);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(request.body(Full::default())?, &[StatusCode::OK])
            .await
    }

    /// Sends a request with a bearer token, and returns the status of the answer.
    pub(crate) async fn status(&mut self, path: &str, token: &str) -> Result<StatusCode> {
        let request = Request::get(path)
            .header(header::HOST, &self.address)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        let (status, _) = self.exchange(request.body(Full::default())?).await?;
        Ok(status)
    }

    /// Posts a JSON body; the answer must have one of these statuses.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        expected: &[StatusCode],
    ) -> Result<Bytes> {
        let request = Request::post(path)
            .header(header::HOST, &self.address)
            .header(header::CONTENT_TYPE, "application/json");
        self.send(
            request.body(Full::from(serde_json::to_vec(body)?))?,
            expected,
        )
        .await
    }

    async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
        expected: &[StatusCode],
    ) -> Result<Bytes> {
        let path = request.uri().clone();
        let (status, body) = self.exchange(request).await?;
        ensure!(
            expected.contains(&status),
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes)> {
        let path = request.uri().clone();
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request)
            .await
            .with_context(|| format!("{path}"))?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
