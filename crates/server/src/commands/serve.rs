//! `countersign serve`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign_flows::clock::SharedClock;
use countersign_flows::{Flows, Role};
use countersign_http::{
    CorsOrigins as EdgeCors, Drain, Edge, EdgeSettings, Limits, Outlets, Spans, TrustedProxies,
    operator_router, public_router,
};
use countersign_store::Store;
use countersign_store_redis::RedisStore;
use countersign_store_sql::SqlStore;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::schema;
use crate::app;
use crate::descriptors;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logging;
use crate::process::Process;
use crate::settings::{CorsOrigins, Loaded, Settings, Signing};
use crate::traces::{SpanFigures, Traces};

/// One sign-in should not take longer than this.
pub(super) const SLOW_SIGN_IN: Duration = Duration::from_secs(1);

/// How often an instance sees whether something is to be removed.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How often an instance looks for what others have announced. Twice a second keeps the promise
/// of one second with room to spare.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// How long until the start is tried to be recorded again.
const RECORD_AGAIN: Duration = Duration::from_secs(2);

/// How long the end waits for the last audit events to be written.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// How often the clock is compared with the database's.
const SET_CLOCK_EVERY: Duration = Duration::from_secs(1);

/// How long the end waits for the database to take what was acknowledged from Redis.
const LAST_ROTATIONS: Duration = Duration::from_secs(10);

/// How long the end waits for the last lines about requests to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

/// How long it waits for the collector to take the last spans.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// How often events get their places in the audit log's chain.
const SEAL_EVERY: Duration = Duration::from_millis(500);

/// What every instance may have of its own: no reason to say that the settings have changed.
const OWN: [&str; 4] = [
    "COUNTERSIGN_ADDR",
    "COUNTERSIGN_OPS_ADDR",
    "COUNTERSIGN_DATA_DIR",
    "HASH_WORKERS",
];

pub(super) async fn run(loaded: Loaded) -> Result<(), Failure> {
    let mut settings = loaded.settings.clone();
    let request_log = logging::start(&settings);
    let span_figures = SpanFigures::default();
    let traces = settings
        .traces
        .as_ref()
        .map(|traces| Traces::start(traces, span_figures.clone()));
    let traces = traces.transpose()?.map(Arc::new);
    let public = bind("COUNTERSIGN_ADDR", settings.addr).await?;
    let operator = match settings.ops_addr {
        Some(addr) => Some(bind("COUNTERSIGN_OPS_ADDR", addr).await?),
        None => None,
    };
    let addr = public.local_addr()?;
    // Port 0 asks for any free port; a default issuer then names the one that was given.
    if settings.addr.port() == 0 && settings.issuer == format!("http://{}", settings.addr) {
        settings.issuer = format!("http://{addr}");
    }
    let store = app::connect(&settings).await?;
    if settings.migrate_at_start {
        store.migrate().await?;
    }
    app::current_schema(&store).await?;
    app::may_be_served(&store).await?;
    let clock = Arc::<SharedClock>::default();
    let redis = app::with_redis(&settings, &store).await?;
    let over: Arc<dyn Store> = match &redis {
        Some(redis) => Arc::<RedisStore>::clone(redis),
        None => Arc::new(store.clone()),
    };
    let opened = app::open_over(Role::Server, &settings, &store, over, Arc::clone(&clock));
    let flows = Arc::new(opened.await?);

    let (stop, stopped) = watch::channel(false);
    let sealing = tokio::spawn(seal(Arc::clone(&flows), stopped.clone()));
    let settings_now = comparable(&loaded);
    let recording = tokio::spawn(record_start(
        Arc::clone(&flows),
        settings_now,
        stopped.clone(),
    ));
    let following = tokio::spawn(follow(Arc::clone(&flows), stopped.clone()));
    let setting_clock = tokio::spawn(set_clock(clock, store.clone()));
    let hearing = tokio::spawn(hear(Arc::clone(&flows)));
    let sweeping = tokio::spawn(sweep(Arc::clone(&flows), stopped.clone()));
    let measuring = tokio::spawn(measure(Arc::clone(&flows)));
    let mut registry = Registry::default();
    store.register(&mut registry);
    if let Some(redis) = &redis {
        redis.register(&mut registry);
    }
    registry.register_collector(Box::new(Process));
    registry.register_collector(Box::new(request_log.clone()));
    span_figures.register(&mut registry);
    let spans = traces.clone().map(|traces| traces as Arc<dyn Spans>);
    let outlets = Outlets { registry, spans };
    let connections = descriptors::room_for(settings.max_connections, &settings);
    let limits = Limits {
        connections,
        ..Limits::default()
    };
    let feed_subscribers = settings.feed_subscribers.unwrap_or(connections / 3 * 2);
    let edge_settings = edge_settings(&settings, feed_subscribers);
    let drain = Drain::default();
    let edge =
        Edge::with_outlets(Arc::clone(&flows), edge_settings, outlets).draining_with(drain.clone());
    let (feed, feed_stopped) = (edge.clone(), stopped.clone());
    let feeding = tokio::spawn(async move { feed.feed(wait(feed_stopped)).await });
    let public_server = countersign_http::serve(
        public,
        public_router(edge.clone()),
        limits,
        wait(stopped.clone()),
    );
    let operator_addr = operator.as_ref().map(TcpListener::local_addr).transpose()?;
    let operator_server = async {
        if let Some(listener) = operator {
            countersign_http::serve(listener, operator_router(edge), limits, wait(stopped)).await;
        }
    };
    let stopping = async {
        let (signal, unserved) = tokio::select! {
            signal = stop_signal() => (signal, None),
            error = schema::unserved(&store) => ("schema", Some(error)),
        };
        // Who no longer knows what ends sessions must not go on for as long as a load balancer needs to notice.
        let longest = unserved.as_ref().map_or(settings.drain, |_| Duration::ZERO);
        drain_for(longest, signal, &drain).await;
        tracing::info!(signal, "stopping: requests in flight have 10 seconds");
        // Received by both servers and the follower, unless they have ended already.
        let _ = stop.send(true);
        unserved
    };
    announce(&settings, addr, operator_addr);
    let ((), (), unserved) = tokio::join!(public_server, operator_server, stopping);
    let _ = tokio::join!(following, sweeping, sealing, recording, feeding);
    last_events(&flows).await;
    measuring.abort();
    setting_clock.abort();
    hearing.abort();
    if let Some(redis) = &redis {
        redis.close(LAST_ROTATIONS).await;
    }
    store.close().await;
    if let Some(traces) = traces {
        // It blocks; a panic in it is logged where it happens.
        let _ = tokio::task::spawn_blocking(move || traces.stop(LAST_SPANS)).await;
    }
    request_log.flush(LAST_LINES);
    tracing::info!("stopped");
    match unserved {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// Lets load balancers see that this instance is about to stop. A second signal ends the wait.
async fn drain_for(longest: Duration, signal: &str, drain: &Drain) {
    if longest.is_zero() {
        return;
    }
    drain.begin();
    let seconds = longest.as_secs();
    tracing::info!(
        signal,
        seconds,
        "draining: not ready, and answering until then"
    );
    tokio::select! {
        () = tokio::time::sleep(longest) => {}
        _ = stop_signal() => {}
    }
}

/// The settings by name, as text that tells whether they are the same. Of those that are shown hidden, it is the one secret
/// that may change.
fn comparable(loaded: &Loaded) -> BTreeMap<&'static str, String> {
    let shared = loaded.rows.iter().filter(|row| !OWN.contains(&row.setting));
    let mut settings: BTreeMap<_, _> = shared
        .map(|row| (row.setting, row.value.clone().unwrap_or_default()))
        .collect();
    if let Signing::Hs256(secret) = &loaded.settings.signing {
        settings.insert("JWT_SECRET", secret.expose().to_owned());
    }
    settings
}

/// Records the start as soon as the database takes writes: a server that can only read serves meanwhile.
async fn record_start(
    flows: Arc<Flows>,
    settings: BTreeMap<&'static str, String>,
    mut stopped: watch::Receiver<bool>,
) {
    while let Err(error) = flows
        .record_start(env!("CARGO_PKG_VERSION"), &settings)
        .await
    {
        tracing::debug!(%error, "the start is not recorded yet");
        tokio::select! {
            () = tokio::time::sleep(RECORD_AGAIN) => {}
            _ = stopped.changed() => return,
        }
    }
}

/// Stores and seals what is left of the audit log.
async fn last_events(flows: &Flows) {
    let stored = tokio::time::timeout(LAST_EVENTS, async {
        flows.flush_audit().await?;
        flows.seal_audit().await
    });
    match stored.await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::error!(%error, "the last audit events were not written"),
        Err(_) => tracing::error!("the last audit events were not written in time"),
    }
}

/// Gives events their places in the chain until stopped. A failure is told once.
async fn seal(flows: Arc<Flows>, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(SEAL_EVERY) => {}
            _ = stopped.changed() => return,
        }
        let sealed = flows.seal_audit().await;
        if let (Err(error), false) = (&sealed, failing) {
            tracing::warn!(%error, "cannot seal audit events");
        }
        failing = sealed.is_err();
    }
}

fn announce(settings: &Settings, addr: SocketAddr, operator: Option<SocketAddr>) {
    tracing::info!("listening on http://{addr}");
    if let Some(operator) = operator {
        tracing::info!("operator's listener on http://{operator}");
    }
    tracing::info!(
        "API description and a page to try it on {}/docs",
        settings.issuer.trim_end_matches('/')
    );
}

async fn bind(setting: &str, addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|error| {
        let exit = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            _ => Exit::Failure,
        };
        Failure::with(exit, format!("cannot listen on {addr} ({error}): set `{setting}` to a free address of this machine"))
    })
}

fn edge_settings(settings: &Settings, feed_subscribers: usize) -> EdgeSettings {
    EdgeSettings {
        feed_subscribers,
        issuer: settings.issuer.clone(),
        trusted_proxies: TrustedProxies::new(
            settings.trusted_proxies.clone(),
            settings.forwarding_header,
        ),
        cors: match &settings.cors_origins {
            CorsOrigins::Off => EdgeCors::List(Vec::new()),
            CorsOrigins::Loopback => EdgeCors::Loopback,
            CorsOrigins::List(list) => EdgeCors::List(list.clone()),
        },
    }
}

/// Follows what is announced until stopped. A failure is told once, not twice a second.
async fn follow(flows: Arc<Flows>, mut stopped: watch::Receiver<bool>) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(FOLLOW_EVERY) => {}
            _ = stopped.changed() => return,
        }
        match flows.follow().await {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("following announcements again");
            }
            Ok(()) => {}
            Err(error) if !failing => {
                failing = true;
                tracing::warn!(%error, "cannot follow announcements");
            }
            Err(_) => {}
        }
    }
}

/// Keeps the clock in step with the database's. Apart from [`follow`], so that neither waits for the other.
async fn set_clock(clock: Arc<SharedClock>, store: SqlStore) {
    loop {
        tokio::time::sleep(SET_CLOCK_EVERY).await;
        if let Err(error) = app::set_clock(&clock, &store).await {
            tracing::debug!(%error, "cannot compare clocks");
        }
    }
}

/// Honours what other instances announce as soon as it is heard. What is missed is followed.
async fn hear(flows: Arc<Flows>) {
    loop {
        if let Err(error) = flows.hear().await {
            tracing::debug!(%error, "cannot honour what was heard");
            tokio::time::sleep(FOLLOW_EVERY).await;
        }
    }
}

/// Removes what is long over, now and then, until stopped.
async fn sweep(flows: Arc<Flows>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_EVERY) => {}
            _ = stopped.changed() => return,
        }
        match flows.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed rows that were long over"),
            Err(error) => tracing::warn!(%error, "cannot remove what is over"),
        }
        if let Err(error) = flows.remove_lapsed_limits().await {
            tracing::debug!(%error, "cannot remove lapsed limits");
        }
    }
}

/// Finds out what a password costs, so that the first sign-ins are already told honestly how long to
/// wait. The server is ready meanwhile.
async fn measure(flows: Arc<Flows>) {
    let Ok(took) = flows.hashing().measure().await else {
        return;
    };
    let milliseconds = took.as_millis();
    match took > SLOW_SIGN_IN {
        true => tracing::warn!(
            milliseconds,
            "one password takes longer than a second: lower `BCRYPT_ROUNDS`"
        ),
        false => tracing::info!(milliseconds, "measured what one password takes"),
    }
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the process's main task.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Resolves with the name of the signal that asks to stop.
async fn stop_signal() -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("cannot listen for signals; only SIGKILL will end this process");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
