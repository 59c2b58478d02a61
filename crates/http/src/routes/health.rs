use axum::Json as Answer;
use axum::extract::State;
use countersign_flows::Readiness;
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use utoipa::ToSchema;

use crate::edge::Edge;
use crate::moving;
use crate::problem::{Problem, UNAVAILABLE};

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Is the process alive?
///
/// 200 as long as it answers at all, whatever its dependencies do.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "healthz",
    tag = "For operators",
    responses((status = 200, description = "Yes.", body = Health)),
)]
pub(super) async fn healthz() -> Answer<Health> {
    Answer(Health { status: "ok" })
}

/// What the server needs, and whether it has it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always `ready`.
    #[schema(example = "ready")]
    status: &'static str,
    /// Each dependency.
    dependencies: Dependencies,
}

/// The dependencies.
#[derive(Serialize, ToSchema)]
pub(crate) struct Dependencies {
    /// The database answers.
    database: Dependency,
    /// What other instances announce is being followed.
    announcements: Dependency,
    /// Redis, where one is set. While it is down sessions are refreshed in the database: slower, and ready all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<Dependency>,
}

/// One dependency.
#[derive(Serialize, ToSchema)]
pub(crate) struct Dependency {
    /// `up` or `down`.
    #[schema(example = "up")]
    state: &'static str,
}

impl From<bool> for Dependency {
    fn from(up: bool) -> Self {
        let state = if up { "up" } else { "down" };
        Self { state }
    }
}

/// Can the server serve?
///
/// 503 while something that it needs is down, it is about to stop, or its data move to another database; `dependencies` says
/// what is down.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "readyz",
    tag = "For operators",
    responses((status = 200, description = "Yes.", body = Ready)),
)]
pub(super) async fn readyz(State(edge): State<Edge>) -> Result<Answer<Ready>, Problem> {
    let Readiness {
        database,
        announcements,
        redis,
    } = edge.flows.readiness().await;
    let dependencies = Dependencies {
        database: database.into(),
        announcements: announcements.into(),
        redis: redis.map(Dependency::from),
    };
    if edge.drain.begun() {
        return Err(Problem::from(&UNAVAILABLE)
            .detail("The server is about to stop.")
            .retry_after(Duration::from_secs(2))
            .with("dependencies", json!(dependencies)));
    }
    if let Some(closed) = edge.flows.closed() {
        return Err(moving::refusal(closed).with("dependencies", json!(dependencies)));
    }
    match database && announcements {
        true => Ok(Answer(Ready {
            status: "ready",
            dependencies,
        })),
        false => Err(Problem::from(&UNAVAILABLE)
            .detail("Something that the server needs is down; see `dependencies`.")
            .retry_after(Duration::from_secs(2))
            .with("dependencies", json!(dependencies))),
    }
}
