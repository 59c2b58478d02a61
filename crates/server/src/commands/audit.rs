//! `countersign audit …`.

use countersign_domain::{SessionId, UserId};
use countersign_flows::{Event, EventFilter, Flows, Verified, VerifyError};
use serde_json::{Value, json};

use super::{Output, user};
use crate::cli::{AuditCommand, AuditFilter};
use crate::failure::Failure;
use crate::output;

/// How much of an event's details a table shows, in characters.
const DETAILS: usize = 120;

/// Events that are read at a time.
const PAGE: u32 = 500;

pub(super) async fn run(
    flows: &Flows,
    command: AuditCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        AuditCommand::List { filter, limit } => list(flows, filter, limit, output).await,
        AuditCommand::Export { after } => export(flows, after, output).await,
        AuditCommand::Verify { anchor } => match flows.verify_audit(anchor).await {
            Ok(verified) => verified_in_words(&verified, output),
            Err(VerifyError::Fault(fault)) => Err(fault.into()),
            Err(error) => Err(Failure::new(error.to_string())),
        },
    }
}

async fn list(
    flows: &Flows,
    filter: AuditFilter,
    limit: u32,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let about = match &filter.user {
        Some(user) => Some(whom(flows, user).await?),
        None => None,
    };
    let filter = EventFilter {
        user: about,
        session: filter.session.map(SessionId),
        kind: filter.kind,
        ip: filter.ip,
        from: filter.from,
        to: filter.to,
    };
    let page = flows.audit_events(&filter, None, limit).await?;
    if output.json {
        let items: Vec<Value> = page.items.iter().map(as_json).collect();
        return Ok(output::json(output.out, &json!({"items": items}))?);
    }
    table(output, &page.items)?;
    if page.next.is_some() {
        writeln!(
            output.err,
            "there are more: give a larger `--limit`, or `--to`"
        )?;
    }
    Ok(())
}

/// A user by id, who may have been deleted, or by e-mail address.
async fn whom(flows: &Flows, text: &str) -> Result<UserId, Failure> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(user::find(flows, text).await?.id),
    }
}

/// Events as a table.
pub(super) fn table(output: &mut Output<'_>, events: &[Event]) -> Result<(), Failure> {
    let row = |event: &Event| {
        let personal = event.personal.clone().unwrap_or_default();
        let id = |id: Option<String>| id.unwrap_or_else(|| "-".to_owned());
        vec![
            output::time(event.row.at),
            match &event.row.reason {
                Some(reason) => format!("{} ({reason})", event.row.kind),
                None => event.row.kind.clone(),
            },
            event.row.by.clone(),
            id(event.row.user.map(|id| id.to_string())),
            id(event.row.session.map(|id| id.to_string())),
            match personal.ip {
                Some(ip) => ip.to_string(),
                None if event.erased => "(erased)".to_owned(),
                None => "-".to_owned(),
            },
            shortened(&event.row.details),
        ]
    };
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    let headings = ["time", "event", "by", "user", "session", "ip", "details"];
    Ok(output::table(output.out, &headings, &rows)?)
}

/// Details that a line has room for; `--json` and `audit export` show them whole.
fn shortened(details: &str) -> String {
    let mut rest = details.chars();
    let start: String = rest.by_ref().take(DETAILS).collect();
    match rest.next() {
        Some(_) => format!("{start}…"),
        None => start,
    }
}

async fn export(flows: &Flows, after: u64, output: &mut Output<'_>) -> Result<(), Failure> {
    let (head, public_key) = flows.audit_head().await?;
    let end = head.as_ref().map_or(0, |head| head.position);
    let mut position = after;
    while position < end {
        let events = flows.audit_chain(position, PAGE).await?;
        let Some(last) = events.last().and_then(|event| event.position) else {
            break;
        };
        // What has been added since belongs to the next export.
        for event in events.iter().filter(|event| event.position <= Some(end)) {
            writeln!(output.out, "{}", as_json(event))?;
        }
        position = last;
    }
    let head = head.map(|head| {
        json!({
            "position": head.position,
            "hash": hex(&head.hash),
            "at": head.at,
            "signature": hex(&head.signature),
            "public_key": hex(&public_key),
        })
    });
    Ok(writeln!(output.out, "{}", json!({ "head": head }))?)
}

fn verified_in_words(verified: &Verified, output: &mut Output<'_>) -> Result<(), Failure> {
    let anchor = format!("{}:{}", verified.position, hex(&verified.hash));
    if output.json {
        let answer = json!({
            "events": verified.events,
            "checkpoints": verified.checkpoints,
            "removed_through": verified.cut,
            "not_in_the_chain_yet": verified.unsealed,
            "anchor": anchor,
        });
        return Ok(output::json(output.out, &answer)?);
    }
    writeln!(
        output.out,
        "{} events and {} checkpoints are as they were written",
        verified.events, verified.checkpoints
    )?;
    if verified.cut > 0 {
        writeln!(
            output.out,
            "events up to {} were verified and removed when they were old enough",
            verified.cut
        )?;
    }
    if verified.unsealed > 0 {
        writeln!(
            output.out,
            "{} more have no place in the chain yet; a running server gives them one",
            verified.unsealed
        )?;
    }
    if verified.position > 0 {
        writeln!(
            output.out,
            "note this elsewhere, for `--anchor` next time: {anchor}"
        )?;
    }
    Ok(())
}

/// An event for programs, with all that its hash is over.
pub(super) fn as_json(event: &Event) -> Value {
    let personal = event.personal.clone().unwrap_or_default();
    let details: Value = serde_json::from_str(&event.row.details).unwrap_or_default();
    let mut object = json!({
        "id": event.row.id,
        "at": event.row.at,
        "kind": event.row.kind,
        "outcome": event.row.outcome,
        "reason": event.row.reason,
        "by": event.row.by,
        "user_id": event.row.user,
        "session_id": event.row.session,
        "ip": personal.ip,
        "user_agent": personal.user_agent,
        "request_id": personal.request_id,
        "erased": event.erased,
        "details": details,
        "position": event.position,
    });
    if let (Some(hash), Some(object)) = (event.hash, object.as_object_mut()) {
        object.insert("digest".to_owned(), hex(&event.row.digest()).into());
        object.insert("hash".to_owned(), hex(&hash).into());
    }
    object
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
