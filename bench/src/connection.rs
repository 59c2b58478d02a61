//! One kept-alive connection, which sends one request after the other.
//!
//! Heads are written and read by hand: the load generator shares its cores with what it measures, and
//! a client library costs as much for each request as the server does.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    address: String,
    sent: Vec<u8>,
    received: BytesMut,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Result<Connection> {
        Connection::begin(address, TcpStream::connect(address).await?)
    }

    /// From another address of this machine.
    pub(crate) async fn open_from(address: &str, own: Ipv4Addr) -> Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((own, 0).into())?;
        Connection::begin(address, socket.connect(address.parse()?).await?)
    }

    fn begin(address: &str, stream: TcpStream) -> Result<Connection> {
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            address: address.into(),
            sent: Vec::with_capacity(1024),
            received: BytesMut::with_capacity(16 * 1024),
        })
    }

    /// Sends a request without a body, with a bearer token if there is one; the answer must be a 200.
    pub(crate) async fn get(&mut self, path: &str, token: Option<&str>) -> Result<Bytes> {
        self.begin_head("GET", path);
        if let Some(token) = token {
            self.field("authorization", &format!("Bearer {token}"));
        }
        self.send(path, &[], &[StatusCode::OK]).await
    }

    /// Sends a request with a bearer token, and returns the status of the answer.
    pub(crate) async fn status(&mut self, path: &str, token: &str) -> Result<StatusCode> {
        self.begin_head("GET", path);
        self.field("authorization", &format!("Bearer {token}"));
        let (status, _) = self.exchange(path, &[]).await?;
        Ok(status)
    }

    /// Posts a JSON body; the answer must have one of these statuses.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        body: &Value,
        expected: &[StatusCode],
    ) -> Result<Bytes> {
        let body = serde_json::to_vec(body)?;
        self.begin_head("POST", path);
        self.field("content-type", "application/json");
        self.field("content-length", &body.len().to_string());
        self.send(path, &body, expected).await
    }

    fn begin_head(&mut self, method: &str, path: &str) {
        self.sent.clear();
        for part in [method, " ", path, " HTTP/1.1\r\n"] {
            self.sent.extend(part.as_bytes());
        }
        let address = self.address.clone();
        self.field("host", &address);
    }

    fn field(&mut self, name: &str, value: &str) {
        for part in [name, ": ", value, "\r\n"] {
            self.sent.extend(part.as_bytes());
        }
    }

    async fn send(&mut self, path: &str, body: &[u8], expected: &[StatusCode]) -> Result<Bytes> {
        let (status, body) = self.exchange(path, body).await?;
        ensure!(
            expected.contains(&status),
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }

    async fn exchange(&mut self, path: &str, body: &[u8]) -> Result<(StatusCode, Bytes)> {
        self.sent.extend(b"\r\n");
        self.sent.extend(body);
        self.stream.write_all(&self.sent).await?;
        loop {
            if let Some((status, head, whole)) = answer(&self.received)?
                && self.received.len() >= whole
            {
                let body = self.received.split_to(whole).split_off(head);
                return Ok((status, body.freeze()));
            }
            let read = self.stream.read_buf(&mut self.received).await;
            let read = read.with_context(|| path.to_owned())?;
            ensure!(read > 0, "{path}: the server closed the connection");
        }
    }
}

/// Status, length of the head, and length of the whole answer; `None` while the head is not there.
fn answer(received: &[u8]) -> Result<Option<(StatusCode, usize, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = received.windows(END.len()).position(|part| part == END) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end]).context("a head in ASCII")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status: StatusCode = status.context("a status line")?.parse()?;
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse()?;
        }
        ensure!(
            !name.eq_ignore_ascii_case("transfer-encoding"),
            "an answer without a length"
        );
    }
    let head = end + END.len();
    Ok(Some((status, head, head + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_their_length_says() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx: y\r\n\r\nokHTTP";
        let whole = text.len() - 4;
        assert_eq!(
            answer(text).unwrap(),
            Some((StatusCode::OK, whole - 2, whole))
        );
        assert_eq!(answer(&text[..20]).unwrap(), None);
        let nothing = b"HTTP/1.1 204 No Content\r\n\r\n";
        let whole = nothing.len();
        assert_eq!(
            answer(nothing).unwrap(),
            Some((StatusCode::NO_CONTENT, whole, whole))
        );
        assert!(answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
