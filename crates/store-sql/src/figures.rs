//! How long the database takes, and how often it fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::SqlStore;
use crate::driver::Db;
use crate::strangers::Strangers;

/// Upper bounds in seconds: a read of SQLite takes some ten microseconds, and nothing may take
/// longer than some seconds.
const BUCKETS: [f64; 12] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: &'static str,
}

pub(crate) struct Figures {
    durations: Family<Operation, Histogram>,
    errors: Family<Operation, Counter>,
    pub(crate) strangers: Strangers,
    /// The newest migration in the database, once it was looked for.
    schema: Gauge,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Family::default(),
            strangers: Strangers::default(),
            schema: Gauge::default(),
        }
    }
}

impl Figures {
    pub(crate) fn note(&self, operation: &'static str, took: Duration, failed: bool) {
        let operation = Operation { operation };
        let durations = self.durations.get_or_create(&operation);
        durations.observe(took.as_secs_f64());
        // The counter is there from the first success on, so that a rate sees the first failure.
        let errors = self.errors.get_or_create(&operation);
        errors.inc_by(u64::from(failed));
    }
}

impl Figures {
    /// Notes which schema the database has.
    pub(crate) fn note_schema(&self, number: i64) {
        self.schema.set(number);
    }
}

impl SqlStore {
    /// Has `registry` show how long operations take, how many fail, and the connections.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "countersign_store_operation_duration_seconds",
            "Time that the database took, waiting for a connection included, by operation",
            self.figures.durations.clone(),
        );
        registry.register(
            "countersign_store_errors",
            "Operations that the database failed, by operation",
            self.figures.errors.clone(),
        );
        registry.register(
            "countersign_announcements_unknown",
            "Announcements of newer versions that this one does not know, and passed over",
            self.figures.strangers.counter.clone(),
        );
        registry.register(
            "countersign_schema",
            "The newest migration that the database has",
            self.figures.schema.clone(),
        );
        let known = Gauge::<i64>::default();
        known.set(self.db.migrations().last().map_or(0, |last| last.number));
        registry.register(
            "countersign_schema_known",
            "The newest migration that this version knows",
            known,
        );
        registry.register_collector(Box::new(Connections(Arc::clone(&self.db))));
    }
}

struct Connections(Arc<Db>);

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connections")
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let pool = self.0.pool();
        for (name, help, count) in [
            (
                "countersign_database_connections",
                "Open connections to the database",
                pool.size,
            ),
            (
                "countersign_database_connections_idle",
                "Open connections to the database that nobody uses",
                pool.idle,
            ),
        ] {
            let gauge = ConstGauge::new(i64::from(count));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        if let Some(hears) = self.0.hears() {
            let gauge = ConstGauge::new(i64::from(hears));
            gauge.encode(encoder.encode_descriptor(
                "countersign_announcements_heard",
                "1 while other instances' announcements are heard of at once (LISTEN), 0 while they are looked for",
                None,
                gauge.metric_type(),
            )?)?;
        }
        Ok(())
    }
}
