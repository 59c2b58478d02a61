use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::Limits;
use super::activity::Activity;

/// A connection that fails once its client is too slow: with the head of a request, with the next
/// request, or with taking the answer. (A body has a limit of its own, where it is read.)
pub(super) struct TimedStream {
    stream: TcpStream,
    limits: Limits,
    activity: Arc<Activity>,
    version: Option<Version>,
    start: Start,
    state: State,
    reading: Timer,
    writing: Timer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

/// What every connection of HTTP/2 begins with (RFC 9113, section 3.4), and no other does.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes, which are read to tell the version.
#[derive(Default)]
struct Start {
    bytes: [u8; PREFACE.len()],
    arrived: usize,
    /// How many of them have been given out.
    given: usize,
}

impl Start {
    /// `None`: that cannot be told yet.
    fn version(&self) -> Option<Version> {
        let (arrived, _) = self.bytes.split_at(self.arrived);
        match PREFACE.starts_with(arrived) {
            false => Some(Version::Http1),
            true if self.arrived == PREFACE.len() => Some(Version::Http2),
            true => None,
        }
    }

    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let end = self.arrived.min(self.given + buf.remaining());
        if let Some(bytes) = self.bytes.get(self.given..end) {
            buf.put_slice(bytes);
            self.given = end;
        }
    }
}

/// What the client owes. The number tells how many heads had arrived when it began to owe it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing: it waits for an answer.
    Busy,
    /// A request, some time.
    Idle(u64),
    /// The rest of a head that it has begun.
    Head(u64),
}

impl TimedStream {
    pub(super) fn new(stream: TcpStream, limits: Limits, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            limits,
            activity,
            version: None,
            start: Start::default(),
            state: State::Busy,
            reading: Timer::default(),
            writing: Timer::default(),
        }
    }

    /// Reads no more than it takes to tell what the client speaks. What was read comes again, and together with what is there
    /// by then: whoever reads a head in two parts makes room for two.
    pub(super) async fn version(&mut self) -> io::Result<Version> {
        std::future::poll_fn(|cx| self.poll_version(cx)).await
    }

    fn poll_version(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Version>> {
        loop {
            if let Some(version) = self.start.version() {
                self.version = Some(version);
                // The preface is no head of a request.
                if version == Version::Http2 {
                    self.state = State::Busy;
                    self.settle(false);
                }
                return Poll::Ready(Ok(version));
            }
            let (_, rest) = self.start.bytes.split_at_mut(self.start.arrived);
            let mut buf = ReadBuf::new(rest);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buf);
            let length = buf.filled().len();
            match read {
                // It has said all that it will say: what is wrong with that is found where heads are read.
                Poll::Ready(Ok(())) if length == 0 => return Poll::Ready(Ok(Version::Http1)),
                Poll::Ready(Ok(())) => {
                    self.start.arrived += length;
                    self.settle(true);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.settle(false);
                    ready!(self.reading.poll(cx));
                    return Poll::Ready(Err(too_slow("the client sends nothing")));
                }
            }
        }
    }

    fn arrived(&mut self, bytes: &[u8]) {
        // In HTTP/2, frames between requests are acknowledgements and pings, not the beginning of
        // a request, so there only the idle limit holds.
        self.settle(!bytes.is_empty() && self.version != Some(Version::Http2));
    }

    fn settle(&mut self, head_begins: bool) {
        let begun = self.activity.begun();
        let state = match self.state {
            _ if self.activity.is_busy() => State::Busy,
            State::Head(before) if before == begun => State::Head(begun),
            _ if head_begins => State::Head(begun),
            _ => State::Idle(begun),
        };
        if state == self.state {
            return;
        }
        self.state = state;
        match state {
            State::Busy => self.reading.stop(),
            State::Idle(_) => self.reading.start(self.limits.idle),
            State::Head(_) => self.reading.start(self.limits.head),
        }
    }

    /// Passes on what a write gave, and fails where it has been pending for too long.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.writing.stop();
            // With a read pending since before the answer, hyper waits to be woken before it
            // reads again, so the time for the next request has to begin here.
            self.settle(false);
            if self.reading.poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return result;
        }
        if !self.writing.running {
            self.writing.start(self.limits.stalled_write);
        }
        ready!(self.writing.poll(cx));
        Poll::Ready(Err(too_slow("the client takes nothing of its answer")))
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        self.start.give(buf);
        let again = buf.filled().len() > before;
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Pending if again => Poll::Ready(Ok(())),
            Poll::Ready(result) => {
                self.arrived(&buf.filled()[before..]);
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.settle(false);
                ready!(self.reading.poll(cx));
                Poll::Ready(Err(too_slow("the client sends nothing")))
            }
        }
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(cx, result)
    }
}

fn too_slow(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// A sleep that is made once and set again.
#[derive(Default)]
struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Timer {
    fn start(&mut self, duration: Duration) {
        self.running = true;
        match &mut self.sleep {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + duration),
            None => self.sleep = Some(Box::pin(sleep(duration))),
        }
    }

    fn stop(&mut self) {
        self.running = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sleep {
            Some(sleep) if self.running => sleep.as_mut().poll(cx),
            _ => Poll::Pending,
        }
    }
}
