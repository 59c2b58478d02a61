//! Figures that are read when somebody asks for them.

use std::fmt;
use std::sync::Arc;

use countersign_flows::{Figures, Flows, LimitFigures};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labels::Limit;

/// The use cases' figures.
pub(super) struct Pulled(pub(super) Arc<Flows>);

impl fmt::Debug for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pulled")
    }
}

impl Collector for Pulled {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut put = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let figures = self.0.figures();
        let hashing = figures.hashing;
        put(
            "countersign_announcements_age_seconds",
            "Time since what other instances announce was last read",
            &ConstGauge::new(figures.announcements_age.as_secs_f64()),
        )?;
        put(
            "countersign_revocations",
            "Ended sessions and users whose access tokens are refused until they expire",
            &ConstGauge::new(figures.revocations as u64),
        )?;
        put(
            "countersign_token_cache_entries",
            "Access tokens whose signature need not be checked again",
            &ConstGauge::new(figures.cached_tokens as u64),
        )?;
        if let Some(age) = figures.signing_key_age {
            put(
                "countersign_signing_key_age_seconds",
                "Time since the key that signs was made",
                &ConstGauge::new(age.as_secs_f64()),
            )?;
        }
        put(
            "countersign_audit_events_waiting",
            "Audit events that wait to be written",
            &ConstGauge::new(figures.audit_waiting as u64),
        )?;
        put(
            "countersign_audit_lag_seconds",
            "How long the oldest audit event has waited for its place in the chain",
            &ConstGauge::new(figures.audit_lag.as_secs_f64()),
        )?;
        put(
            "countersign_hashing_queue_length",
            "Passwords that wait to be hashed",
            &ConstGauge::new(hashing.waiting as u64),
        )?;
        put(
            "countersign_hashing_running",
            "Passwords that are being hashed",
            &ConstGauge::new(hashing.running as u64),
        )?;
        put(
            "countersign_hashing_expected_wait_seconds",
            "How long a password that came now would wait to be hashed",
            &ConstGauge::new(hashing.expected_wait.as_secs_f64()),
        )?;
        put(
            "countersign_hashing_computed",
            "Hashes that were begun",
            &ConstCounter::new(hashing.computed),
        )?;
        put(
            "countersign_hashing_wait_seconds",
            "Time that all passwords together have waited to be hashed",
            &ConstCounter::new(hashing.waited.as_secs_f64()),
        )?;
        put(
            "countersign_rate_limit_memory_keys",
            "Keys that are counted in the memory of this instance",
            &ConstGauge::new(figures.limit_keys_in_memory as u64),
        )?;
        put(
            "countersign_rate_limit_without_store",
            "Places that were taken in memory because the database did not answer",
            &ConstCounter::new(figures.limits_without_store),
        )?;
        limits(&mut encoder, &figures)
    }
}

fn limits(encoder: &mut DescriptorEncoder<'_>, figures: &Figures) -> fmt::Result {
    let kinds: [(&str, &str, fn(&LimitFigures) -> u64); 3] = [
        (
            "countersign_rate_limit_taken",
            "Places of a limit that were taken",
            |limit| limit.taken,
        ),
        (
            "countersign_rate_limit_given_back",
            "Places of a limit that were given back, because what was tried was right or was not evaluated",
            |limit| limit.given_back,
        ),
        (
            "countersign_rate_limit_refused",
            "Attempts that found no place in a limit",
            |limit| limit.refused,
        ),
    ];
    for (name, help, value) in kinds {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for figures in &figures.limits {
            let limit = Limit {
                limit: figures.limit,
            };
            ConstCounter::new(value(figures)).encode(family.encode_family(&limit)?)?;
        }
    }
    Ok(())
}
