//! How Redis does, and what waits for the database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::instance::Core;

/// Upper bounds in seconds: a script takes a tenth of a millisecond, and nothing may take longer
/// than some tenths of a second.
const BUCKETS: [f64; 10] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

pub(crate) struct Figures {
    durations: Family<Operation, Histogram>,
    errors: Family<Operation, Counter>,
    to_database: Family<Reason, Counter>,
    trusted: Gauge<i64, AtomicI64>,
    times_given_up: Counter,
}

/// Why a refresh may need the database. All are there from the start, so that a rate sees the first.
const REASONS: [&str; 7] = [
    "missing",
    "stale",
    "away",
    "reuse",
    "expired",
    "ended",
    "contended",
];

impl Default for Figures {
    fn default() -> Self {
        let to_database = Family::<Reason, Counter>::default();
        for reason in REASONS {
            drop(to_database.get_or_create(&Reason { reason }));
        }
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Family::default(),
            to_database,
            trusted: Gauge::default(),
            times_given_up: Counter::default(),
        }
    }
}

impl Figures {
    pub(crate) fn note(&self, operation: &'static str, took: Duration, failed: bool) {
        let operation = Operation { operation };
        self.durations
            .get_or_create(&operation)
            .observe(took.as_secs_f64());
        // The counter is there from the first success on, so that a rate sees the first failure.
        self.errors
            .get_or_create(&operation)
            .inc_by(u64::from(failed));
    }

    /// A refresh that needed the database.
    pub(crate) fn to_database(&self, reason: &'static str) {
        self.to_database.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn trusted(&self, trusted: bool) {
        let before = self.trusted.set(i64::from(trusted));
        if before == 1 && !trusted {
            self.times_given_up.inc();
        }
    }
}

impl Core {
    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        let figures = &self.figures;
        registry.register(
            "countersign_redis_operation_duration_seconds",
            "Time that Redis took, by operation",
            figures.durations.clone(),
        );
        registry.register(
            "countersign_redis_errors",
            "Operations that Redis failed, by operation",
            figures.errors.clone(),
        );
        registry.register(
            "countersign_redis_refreshes_to_database",
            "Refreshes that Redis could not answer alone, by reason",
            figures.to_database.clone(),
        );
        registry.register(
            "countersign_redis_trusted",
            "1 while sessions are refreshed in Redis, 0 while in the database",
            figures.trusted.clone(),
        );
        registry.register(
            "countersign_redis_given_up",
            "How often Redis was given up for a while",
            figures.times_given_up.clone(),
        );
        registry.register_collector(Box::new(Backlog(Arc::clone(self))));
    }
}

struct Backlog(Arc<Core>);

impl fmt::Debug for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backlog")
    }
}

impl Collector for Backlog {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let (held, oldest) = self.0.pending.backlog();
        let gauge = ConstGauge::new(i64::try_from(held).unwrap_or(i64::MAX));
        let name = "countersign_redis_rotations_pending";
        let help = "Rotations that have yet to be written to the database";
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        let gauge = ConstGauge::new(oldest.as_secs_f64());
        let name = "countersign_redis_rotations_lag_seconds";
        let help = "For how long the oldest of them has been waiting";
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}
