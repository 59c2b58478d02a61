//! Lines that are gathered in memory and written by a thread of their own.
//!
//! A request then costs no system call for its line, and a reader of the log that stands still
//! (a full pipe, a slow disk) does not stand in the way of requests: lines that find no room are
//! counted and lost.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;

/// How many bytes may wait to be written.
const ROOM: usize = 4 * 1024 * 1024;

/// How long the thread lets lines gather after the first.
const GATHER: Duration = Duration::from_millis(20);

/// A writer of whole lines, each in one call. Clones share their lines.
#[derive(Clone)]
pub(crate) struct Gathered(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    /// The thread is writing what waited before.
    writing: bool,
    lost: u64,
    lost_and_told: u64,
    /// Nobody may gather any more: write at once.
    hurry: bool,
}

impl Gathered {
    /// Starts the thread, which lives as long as the process.
    pub(crate) fn start(output: impl Write + Send + 'static) -> Self {
        let gathered = Self(Arc::default());
        let shared = Arc::clone(&gathered.0);
        let spawned = thread::Builder::new()
            .name("request-log".to_owned())
            .spawn(move || shared.write_all(output));
        if let Err(error) = spawned {
            tracing::error!(%error, "cannot start the thread that writes the request log");
        }
        gathered
    }

    /// Waits until all lines are written, `longest` at most.
    pub(crate) fn flush(&self, longest: Duration) {
        let mut lines = self.0.lock();
        lines.hurry = true;
        self.0.filled.notify_all();
        let unwritten = |lines: &mut Lines| lines.writing || !lines.waiting.is_empty();
        // Poisoned or out of time: there is nothing to be done about either.
        let _ = self.0.emptied.wait_timeout_while(lines, longest, unwritten);
    }
}

impl Write for Gathered {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.0.lock();
        if lines.waiting.len() + line.len() > ROOM {
            lines.lost += 1;
            return Ok(line.len());
        }
        let first = lines.waiting.is_empty();
        lines.waiting.extend_from_slice(line);
        drop(lines);
        if first {
            self.0.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_all(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let lost = self.take(&mut batch);
            // Nobody is there to be told that standard error is gone.
            let _ = output.write_all(&batch);
            if lost > 0 {
                let _ = writeln!(output, "request log: {lost} lines found no room");
            }
            let _ = output.flush();
            batch.clear();
        }
    }

    /// Waits for lines, lets more of them gather, and takes all; answers how many were lost since
    /// the last time.
    fn take(&self, batch: &mut Vec<u8>) -> u64 {
        let mut lines = self.lock();
        lines.writing = false;
        self.emptied.notify_all();
        while lines.waiting.is_empty() {
            lines = self
                .filled
                .wait(lines)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !lines.hurry {
            drop(lines);
            thread::sleep(GATHER);
            lines = self.lock();
        }
        lines.writing = true;
        mem::swap(batch, &mut lines.waiting);
        let lost = lines.lost - lines.lost_and_told;
        lines.lost_and_told = lines.lost;
        lost
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gathered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gathered")
    }
}

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let lost = ConstCounter::new(self.0.lock().lost);
        lost.encode(encoder.encode_descriptor(
            "countersign_request_log_lines_lost",
            "Lines of the request log that found no room because their reader was too slow",
            None,
            lost.metric_type(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(60);

    /// An output that takes nothing until it is told to.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // A sender that is gone leaves the gate open.
            let _ = self.open.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Gathered, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (opener, open) = mpsc::channel();
        let written = Arc::default();
        let output = Gate {
            open,
            written: Arc::clone(&written),
        };
        (Gathered::start(output), opener, written)
    }

    #[test]
    fn every_line_arrives_in_order() {
        let (mut gathered, opener, written) = gate();
        drop(opener);
        let mut expected = Vec::new();
        for number in 0..1_000 {
            let line = format!("line {number}\n");
            gathered.write_all(line.as_bytes()).unwrap();
            expected.extend_from_slice(line.as_bytes());
        }
        Gathered::flush(&gathered, LONG);
        assert_eq!(*written.lock().unwrap(), expected);
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up() {
        let (mut gathered, opener, written) = gate();
        let line = vec![b'x'; ROOM / 4];
        // One batch may be stuck in the output and one in memory, and still this returns.
        for _ in 0..20 {
            gathered.write_all(&line).unwrap();
        }
        drop(opener);
        Gathered::flush(&gathered, LONG);
        let lost = gathered.0.lock().lost as usize;
        assert!((12..20).contains(&lost), "{lost}");
        let written = written.lock().unwrap();
        let told = b" lines found no room\n";
        assert!(written.windows(told.len()).any(|window| window == told));
        let kept = written.iter().filter(|byte| **byte == b'x').count();
        assert_eq!(kept, (20 - lost) * line.len());
    }
}
