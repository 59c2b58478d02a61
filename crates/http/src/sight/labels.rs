//! Labels. Every one has few values, whatever clients send.

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;

use super::End;
use crate::problem;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) method: &'static str,
    pub(super) route: String,
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Operation {
    pub(super) operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reason {
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Limit {
    pub(super) limit: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Version {
    pub(super) version: &'static str,
}

/// What can come of a refresh.
pub(super) const OUTCOMES: [&str; 9] = [
    "rotated",
    "repeated",
    "reused",
    "expired",
    "revoked",
    "invalid",
    "limited",
    "refused",
    "unavailable",
];

/// What came of a refresh.
pub(super) fn outcome(status: StatusCode, end: End) -> &'static str {
    let is = |kind: &problem::Kind| end.code == Some(kind.code);
    match status {
        status if status.is_success() && end.repeated => "repeated",
        status if status.is_success() => "rotated",
        _ if is(&problem::REFRESH_TOKEN_REUSED) => "reused",
        _ if is(&problem::SESSION_EXPIRED) => "expired",
        _ if is(&problem::SESSION_REVOKED) => "revoked",
        _ if is(&problem::INVALID_REFRESH_TOKEN) => "invalid",
        StatusCode::TOO_MANY_REQUESTS => "limited",
        status if status.is_server_error() => "unavailable",
        // No refresh at all: a body that cannot be read, a wrong media type.
        _ => "refused",
    }
}
