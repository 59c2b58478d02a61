//! `countersign session …`.

use countersign_domain::SessionId;
use countersign_flows::{Explained, Explanation, Flows, SessionError};
use countersign_store::Session;
use serde_json::{Value, json};

use super::{Output, audit, user};
use crate::cli::SessionCommand;
use crate::failure::Failure;
use crate::operator;
use crate::output;

pub(super) async fn run(
    flows: &Flows,
    command: SessionCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        SessionCommand::List { user, limit } => {
            let user = user::find(flows, &user).await?;
            let page = flows.sessions(user.id, None, limit).await?;
            show_list(output, &page.items)?;
            if page.next.is_some() && !output.json {
                writeln!(output.err, "there are more: give a larger `--limit`")?;
            }
            Ok(())
        }
        SessionCommand::Explain { id } => match flows.explain_session(id).await? {
            Explanation::Session(explained) => explain(output, &explained),
            Explanation::NotOne(kind, sessions) => Err(not_one(&kind, &sessions)),
            Explanation::Unknown => Err(Failure::new(
                "neither a session nor an event with this id is known; both are removed some time after their end",
            )),
        },
        SessionCommand::Revoke { id } => match flows
            .end_any_session(SessionId(id), &operator::caller())
            .await
        {
            Ok(()) if output.json => Ok(output::json(output.out, &json!({"ended": id}))?),
            Ok(()) => Ok(writeln!(
                output.out,
                "ended; its access tokens are refused within a second"
            )?),
            Err(SessionError::Fault(fault)) => Err(fault.into()),
            Err(_) => Err(Failure::new(
                "there is no such session: see `countersign session list`",
            )),
        },
    }
}

/// The refused token was answered with the id of its session as well.
fn not_one(kind: &str, sessions: &[SessionId]) -> Failure {
    let ids: Vec<_> = sessions.iter().map(SessionId::to_string).collect();
    let which = match ids.is_empty() {
        true => String::new(),
        false => format!(": {}", ids.join(", ")),
    };
    Failure::new(format!(
        "this event (`{kind}`) is not about one session alone; give the session's id, the `session_id` that the token was refused with{which}"
    ))
}

fn explain(output: &mut Output<'_>, explained: &Explained) -> Result<(), Failure> {
    let session = explained.session.as_ref();
    if output.json {
        let events: Vec<Value> = explained.events.iter().map(audit::as_json).collect();
        let answer = json!({
            "session": explained.id,
            "user_id": explained.user,
            "state": session.map(|session| json!({
                "created_at": session.created_at,
                "last_used_at": session.last_used_at,
                "expires_at": session.state.refresh_expires_at(),
                "expired": explained.expired,
                "ended": session.state.ended.map(|reason| reason.as_str()),
                "ended_by": session.ended_by,
            })),
            "events": events,
        });
        return Ok(output::json(output.out, &answer)?);
    }
    let user = explained.user.map(|id| id.to_string());
    let mut fields = vec![
        ("session", explained.id.to_string()),
        ("user", user.unwrap_or_else(|| "-".to_owned())),
    ];
    match session {
        None => fields.push((
            "state",
            "removed, some time after its end or with its user".to_owned(),
        )),
        Some(session) => {
            let expires = output::time(session.state.refresh_expires_at());
            fields.push((
                "state",
                match session.state.ended {
                    Some(reason) => format!("ended: {}", reason.as_str()),
                    None if explained.expired => format!("expired at {expires}"),
                    None => format!("live; expires at {expires} unless it is refreshed"),
                },
            ));
            fields.push(("last used", output::time(session.last_used_at)));
        }
    }
    output::fields(output.out, &fields)?;
    writeln!(output.out)?;
    audit::table(output, &explained.events)
}

fn show_list(output: &mut Output<'_>, sessions: &[Session]) -> Result<(), Failure> {
    if output.json {
        let items: Vec<Value> = sessions.iter().map(as_json).collect();
        return Ok(output::json(output.out, &json!({"items": items}))?);
    }
    let row = |session: &Session| {
        vec![
            session.id.to_string(),
            output::time(session.created_at),
            output::time(session.last_used_at),
            output::time(session.state.refresh_expires_at()),
            session.ip.map_or("-".to_owned(), |ip| ip.to_string()),
            session.user_agent.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = sessions.iter().map(row).collect();
    let headings = ["id", "created", "last used", "expires", "ip", "user agent"];
    Ok(output::table(output.out, &headings, &rows)?)
}

fn as_json(session: &Session) -> Value {
    json!({
        "id": session.id,
        "user_id": session.user_id,
        "created_at": session.created_at,
        "last_used_at": session.last_used_at,
        "expires_at": session.state.refresh_expires_at(),
        "generation": session.state.generation,
        "ip": session.ip,
        "user_agent": session.user_agent,
    })
}
