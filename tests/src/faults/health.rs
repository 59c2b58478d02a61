//! Looks at an instance as its load balancer and its operator do.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::doors::Doors;
use crate::Api;

/// `/healthz` that takes longer counts as dead. Far longer than it takes on a machine that is busy.
const ALIVE: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(100);

/// Watches all instances until stopped.
#[derive(Debug)]
pub(crate) struct Watch {
    doors: Arc<Doors>,
    /// When the last fault began.
    began: Instant,
    /// Each tells when `/readyz` first answered 503.
    readiness: Vec<JoinHandle<Instant>>,
    liveness: Vec<JoinHandle<()>>,
}

impl Watch {
    /// Watches every instance.
    pub(crate) fn begin(doors: &Arc<Doors>) -> Watch {
        let http = Client::builder().no_proxy().build().expect("client");
        Watch {
            began: Instant::now(),
            readiness: (0..doors.len())
                .map(|door| tokio::spawn(first_unready(doors.clone(), http.clone(), door)))
                .collect(),
            liveness: (0..doors.len())
                .map(|door| tokio::spawn(stays_alive(doors.clone(), http.clone(), door)))
                .collect(),
            doors: doors.clone(),
        }
    }

    pub(crate) fn all_have_begun(&mut self) {
        self.began = Instant::now();
    }

    /// Ends the watch. The longest that one of these instances took to say that it was not ready.
    pub(crate) async fn end(mut self, expected: Vec<usize>) -> Option<Duration> {
        let lasted = self.began.elapsed();
        let mut longest = None;
        for (door, watching) in self.readiness.drain(..).enumerate() {
            if !watching.is_finished() {
                watching.abort();
            }
            let unready = watching.await.ok();
            if !expected.contains(&door) {
                continue;
            }
            match unready {
                Some(at) => {
                    longest = longest.max(Some(at.saturating_duration_since(self.began)));
                }
                None if lasted > Duration::from_secs(5) => {
                    let text = format!(
                        "instance {door} did not say within {lasted:?} that it is not ready"
                    );
                    self.doors.ledger.broken(text);
                }
                None => {}
            }
        }
        if longest.is_some_and(|longest| longest > Duration::from_millis(5500)) {
            let text = format!("an instance took {longest:?} to say that it is not ready");
            self.doors.ledger.broken(text);
        }
        longest
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.liveness.iter().for_each(JoinHandle::abort);
        self.readiness.iter().for_each(JoinHandle::abort);
    }
}

/// Asks one instance until it says that it is not ready.
async fn first_unready(doors: Arc<Doors>, http: Client, door: usize) -> Instant {
    loop {
        if status(&doors, &http, door, "/readyz", 2 * ALIVE).await == Some(503) {
            return Instant::now();
        }
        sleep(EVERY).await;
    }
}

async fn stays_alive(doors: Arc<Doors>, http: Client, door: usize) {
    loop {
        let (url, up) = (doors.url(door, "/healthz"), doors.is_up(door));
        let status = status(&doors, &http, door, "/healthz", ALIVE).await;
        // It may have been restarted meanwhile.
        let meant_to = up && doors.is_up(door) && doors.url(door, "/healthz") == url;
        if meant_to && status != Some(200) {
            let text =
                format!("`/healthz` of instance {door} answered {status:?} during the fault");
            doors.ledger.broken(text);
        }
        sleep(EVERY).await;
    }
}

async fn status(
    doors: &Doors,
    http: &Client,
    door: usize,
    path: &str,
    longest: Duration,
) -> Option<u16> {
    let request = http.get(doors.url(door, path)).timeout(longest);
    Some(request.send().await.ok()?.status().as_u16())
}

/// Waits until every instance has Redis in use again; how long that took. `None`: longer than `longest`.
pub(crate) async fn redis_again(
    doors: &Doors,
    since: Instant,
    longest: Duration,
) -> Option<Duration> {
    for door in 0..doors.len() {
        let api = Api::new(&doors.url(door, ""));
        let in_use = async || {
            let request = api.request(Method::GET, "/readyz").timeout(ALIVE);
            let answer = Api::try_send(request).await.ok()?;
            (answer.status == 200 && answer.json()["dependencies"]["redis"]["state"] == "up")
                .then_some(())
        };
        while in_use().await.is_none() {
            if since.elapsed() > longest {
                return None;
            }
            sleep(EVERY).await;
        }
    }
    Some(since.elapsed())
}

/// Waits until every instance is ready and does its work again; how long that took. `None`: longer than `longest`.
pub(crate) async fn ready_again(
    doors: &Doors,
    since: Instant,
    longest: Duration,
) -> Option<Duration> {
    let http = Client::builder().no_proxy().build().expect("client");
    for door in 0..doors.len() {
        while status(doors, &http, door, "/readyz", ALIVE).await != Some(200) {
            if since.elapsed() > longest {
                return None;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    Some(since.elapsed())
}
