//! How a careful client sends: it gives up after a while, tries again after a pause, and passes over for a moment an
//! instance that has just failed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::doors::Doors;
use crate::{Answer, Api, Random};

/// Whoever is not served for so long, though every fault has ended long before, will not be.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever is answered a refresh so late may have been overtaken by another try of its own.
const LATE: Duration = Duration::from_secs(1);

const CALM: Duration = Duration::from_secs(20);

/// A client of all instances.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) doors: Arc<Doors>,
    http: Client,
    timeout: Duration,
    random: Random,
    avoid: Vec<Option<Instant>>,
    /// Requests during a check are not counted.
    pub(crate) counted: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) bearer: Option<String>,
    pub(crate) body: Value,
}

impl Ask {
    pub(crate) fn post(path: &'static str, body: Value) -> Ask {
        Ask {
            method: Method::POST,
            path,
            bearer: None,
            body,
        }
    }

    pub(crate) fn me(access: &str) -> Ask {
        Ask {
            method: Method::GET,
            path: "/auth/me",
            bearer: Some(access.into()),
            body: Value::Null,
        }
    }

    pub(crate) fn with_token(self, access: &str) -> Ask {
        Ask {
            bearer: Some(access.into()),
            ..self
        }
    }
}

/// An answer that says yes or no, and how it came about.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) answer: Answer,
    /// Who answered.
    pub(crate) door: usize,
    /// When the request that was answered was sent, and the first one.
    pub(crate) sent: Instant,
    pub(crate) first_sent: Instant,
    /// Tries before that got no such answer; each may have been carried out.
    pub(crate) unanswered: u32,
    /// How often the only clock had been set before the first request, and whether it was since.
    pub(crate) steps: u64,
    pub(crate) stepped: bool,
}

impl Told {
    pub(crate) fn is(&self, status: u16, code: &str) -> bool {
        self.answer.status == status && self.answer.code() == code
    }

    /// For a sentence about it.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} `{}` by instance {} (after {} tries without an answer in {:?})",
            self.answer.status,
            self.answer.code(),
            self.door,
            self.unanswered,
            self.sent - self.first_sent,
        )
    }
}

impl Line {
    pub(crate) fn new(doors: Arc<Doors>, random: Random, timeout: Duration) -> Line {
        let http = Client::builder().no_proxy().build().expect("client");
        let avoid = vec![None; doors.len()];
        Line {
            doors,
            http,
            timeout,
            random,
            avoid,
            counted: true,
        }
    }

    /// Any instance, but for those that have just failed.
    pub(crate) fn pick(&mut self) -> usize {
        let now = Instant::now();
        let good: Vec<usize> = (0..self.doors.len())
            .filter(|&door| self.avoid[door].is_none_or(|until| now >= until))
            .collect();
        match good.as_slice() {
            [] => self.random.below(self.doors.len() as u64) as usize,
            good => good[self.random.below(good.len() as u64) as usize],
        }
    }

    /// Sends to one instance, once. `None`: no answer, or one that says that it could not be done; it may have been.
    pub(crate) async fn once(&self, door: usize, ask: &Ask) -> Option<Answer> {
        let url = self.doors.url(door, ask.path);
        // When nothing is wrong, only the machine can be slow.
        let timeout = if self.counted { self.timeout } else { CALM };
        let mut request = self.http.request(ask.method.clone(), url).timeout(timeout);
        if let Some(token) = &ask.bearer {
            request = request.bearer_auth(token);
        }
        if !ask.body.is_null() {
            request = request.json(&ask.body);
        }
        let sent = Instant::now();
        let answer = Api::try_send(request).await;
        let ledger = &self.doors.ledger;
        if self.counted {
            ledger.request();
        }
        let failure = match &answer {
            Ok(answer) if answer.status == 503 => {
                // A refresh that is late may be told to come again: docs/decisions/0041.
                let late = ask.path == "/auth/refresh" && sent.elapsed() > LATE;
                if self.doors.is_up(door) && !late {
                    let took = sent.elapsed();
                    ledger.refused(format!(
                        "{} by instance {door} after {took:?}: {}",
                        ask.path, answer.text
                    ));
                }
                "503".to_owned()
            }
            Ok(answer) if answer.status == 429 => "429".to_owned(),
            Ok(answer) if answer.status >= 500 => {
                let text = format!("{} {}: {}", ask.method, ask.path, answer.text);
                ledger.broken(format!(
                    "a fault of a dependency became a {}: {text}",
                    answer.status
                ));
                answer.status.to_string()
            }
            Ok(_) => return answer.ok(),
            Err(error) if error.is_timeout() => "no answer".to_owned(),
            Err(error) if error.is_connect() => "not connected".to_owned(),
            Err(_) => "cut off".to_owned(),
        };
        if self.counted {
            ledger.failure(&failure);
        }
        None
    }

    /// Sends until there is an answer, to one instance after the other. `None`: there was none for far too long, which
    /// breaks a promise.
    pub(crate) async fn tell(&mut self, ask: &Ask) -> Option<Told> {
        let (first_sent, steps) = (Instant::now(), self.doors.steps());
        let mut unanswered = 0;
        while first_sent.elapsed() < PATIENCE {
            let (door, sent) = (self.pick(), Instant::now());
            if let Some(answer) = self.once(door, ask).await {
                return Some(Told {
                    answer,
                    door,
                    sent,
                    first_sent,
                    unanswered,
                    steps,
                    stepped: self.doors.steps() != steps,
                });
            }
            unanswered += 1;
            let pause = Duration::from_millis(50 + self.random.below(300));
            self.avoid[door] = Some(Instant::now() + 3 * pause);
            sleep(pause).await;
        }
        let text = format!("no answer to {} for {PATIENCE:?}", ask.path);
        self.doors.ledger.broken(text);
        None
    }
}

/// A counter for names that are used once.
pub(crate) fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Relaxed)
}
