use std::net::IpAddr;

use axum::Json as Answer;
use axum::extract::{FromRequestParts, State};
use countersign_domain::audit::Kind;
use countersign_domain::{EventId, SessionId, UserId};
use countersign_flows::{Event, EventFilter};
use http::request::Parts;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::admin::Admin;
use crate::edge::Edge;
use crate::fields::{Fields, FromFields};
use crate::form;
use crate::paging::{self, Paging};
use crate::problem::Problem;

/// An event of the audit log.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventAnswer {
    /// The event's id.
    id: Uuid,
    /// When it happened.
    at: Timestamp,
    /// What happened: one of the kinds in `docs/audit.md`.
    #[schema(example = "login.failed")]
    kind: String,
    /// `success` or `failure`.
    #[schema(example = "failure")]
    outcome: String,
    /// Why, as a stable code.
    #[schema(required = true, example = "invalid_credentials")]
    reason: Option<String>,
    /// Who acted: `user`, `anybody`, `server` or `operator:<name>`.
    #[schema(example = "anybody")]
    by: String,
    /// Whom it is about.
    #[schema(required = true)]
    user_id: Option<Uuid>,
    /// The session that it is about.
    #[schema(required = true)]
    session_id: Option<Uuid>,
    /// The client's address.
    #[schema(required = true, example = "203.0.113.7")]
    ip: Option<String>,
    /// The client's `User-Agent`.
    #[schema(required = true, example = "curl/8.5.0")]
    user_agent: Option<String>,
    /// The request's id.
    #[schema(required = true)]
    request_id: Option<String>,
    /// Whether the user was deleted, and with it the three above.
    erased: bool,
    /// What else there is to say.
    #[schema(value_type = Object)]
    details: Value,
    /// Its place in the chain; `null` for about a second.
    #[schema(required = true)]
    position: Option<u64>,
}

impl From<Event> for EventAnswer {
    fn from(event: Event) -> Self {
        let personal = event.personal.unwrap_or_default();
        let row = event.row;
        Self {
            id: row.id.0,
            at: row.at,
            kind: row.kind,
            outcome: row.outcome,
            reason: row.reason,
            by: row.by,
            user_id: row.user.map(|id| id.0),
            session_id: row.session.map(|id| id.0),
            ip: personal.ip.map(|ip| ip.to_string()),
            user_agent: personal.user_agent,
            request_id: personal.request_id,
            erased: event.erased,
            // What somebody put there who changed the table may be no JSON.
            details: serde_json::from_str(&row.details).unwrap_or_default(),
            position: event.position,
        }
    }
}

/// One page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEventList)]
pub(crate) struct EventListAnswer {
    /// The events, newest first.
    items: Vec<EventAnswer>,
    /// Give this as `cursor` for the next page; `null`: this is the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Which events are wanted.
pub(crate) struct Wanted {
    filter: EventFilter,
    paging: Paging,
}

impl FromRequestParts<Edge> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Edge) -> Result<Self, Problem> {
        let pairs = form::parse(parts.uri.query().unwrap_or_default())?;
        Fields::from_form(pairs).read()
    }
}

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields) -> Self {
        let id = "must be a UUID";
        let time = "must be a time such as `2026-01-31T12:00:00Z`, from 1970 to 9999";
        let moment = |at: &Timestamp| (0..=253_402_300_799).contains(&at.as_second());
        let filter = EventFilter {
            user: parsed(fields, "user_id", "id_invalid", id).map(UserId),
            session: parsed(fields, "session_id", "id_invalid", id).map(SessionId),
            kind: parsed::<Kind>(fields, "kind", "kind_invalid", "must be a kind of event"),
            ip: parsed::<IpAddr>(fields, "ip", "ip_invalid", "must be an IP address"),
            from: checked(fields, "from", "time_invalid", time, moment),
            to: checked(fields, "to", "time_invalid", time, moment),
        };
        let paging = Paging::from_fields(fields);
        Self { filter, paging }
    }
}

fn parsed<T: std::str::FromStr>(
    fields: &mut Fields,
    field: &'static str,
    code: &'static str,
    expected: &'static str,
) -> Option<T> {
    checked(fields, field, code, expected, |_| true)
}

fn checked<T: std::str::FromStr>(
    fields: &mut Fields,
    field: &'static str,
    code: &'static str,
    expected: &'static str,
    fits: impl Fn(&T) -> bool,
) -> Option<T> {
    let text = fields.optional_text(field)?;
    match text.parse().ok().filter(fits) {
        Some(value) => Some(value),
        None => fields.wrong(field, code, expected),
    }
}

/// Read the audit log
///
/// Needs the role `admin`. Personal data of deleted users is gone. Events of the last second may be missing.
#[utoipa::path(
    get,
    path = "/admin/audit",
    operation_id = "audit_events",
    tag = "Administration",
    params(
        ("user_id" = Option<Uuid>, Query, description = "Only events about this user."),
        ("session_id" = Option<Uuid>, Query, description = "Only events about this session."),
        ("kind" = Option<String>, Query, description = "Only events of this kind.", example = "login.failed"),
        ("ip" = Option<String>, Query, description = "Only events from this IPv4 address or the /64 of this IPv6 address. Refreshes are not found by it."),
        ("from" = Option<Timestamp>, Query, description = "Only events at or after this time."),
        ("to" = Option<Timestamp>, Query, description = "Only events before this time."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "How many at most; 50 by default."),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before."),
    ),
    responses((status = 200, description = "The events, newest first.", body = EventListAnswer)),
    security(("bearer" = []), ("password" = [])),
)]
pub(super) async fn audit_events(
    State(edge): State<Edge>,
    _admin: Admin,
    Wanted { filter, paging }: Wanted,
) -> Result<Answer<EventListAnswer>, Problem> {
    let before = paging.after.map(|(at, id)| (at, EventId(id)));
    let page = edge
        .flows
        .audit_events(&filter, before, paging.limit)
        .await?;
    Ok(Answer(EventListAnswer {
        items: page.items.into_iter().map(EventAnswer::from).collect(),
        next_cursor: page.next.map(|(at, id)| paging::encode((at, id.0))),
    }))
}
