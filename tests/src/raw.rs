//! Bytes on a socket, for what no well-behaved client sends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends these bytes and returns the status of the answer, or nothing if the connection was closed without one.
/// Panics if neither happens within ten seconds.
pub async fn status(address: &str, request: &[u8]) -> Option<u16> {
    let answer = exchange(address, request).await;
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
}

/// Sends these bytes and returns all that comes back before the connection is closed, or before the server has
/// been silent for a while after an answer.
pub async fn exchange(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        // A server that refuses early closes the connection while this side still writes.
        let _ = writer.write_all(request).await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut buffer = [0; 4096];
        loop {
            let wait = Duration::from_secs(if answer.is_empty() { 10 } else { 1 });
            match timeout(wait, reader.read(&mut buffer)).await {
                Ok(Ok(0)) | Ok(Err(_)) => return,
                Ok(Ok(length)) => answer.extend_from_slice(&buffer[..length]),
                Err(_) if answer.is_empty() => {
                    panic!("neither answered nor closed within {wait:?}")
                }
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The bytes of a request that posts this body.
pub fn post(path: &str, media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
