//! `countersign session …`.

use countersign_domain::SessionId;
use countersign_flows::SessionError;
use countersign_store::Session;
use serde_json::{Value, json};

use super::{Output, user};
use crate::app;
use crate::cli::SessionCommand;
use crate::failure::Failure;
use crate::operator;
use crate::output;
use crate::settings::Settings;

pub(super) async fn run(
    settings: &Settings,
    command: SessionCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let flows = app::open_for_command(settings).await?;
    match command {
        SessionCommand::List { user, limit } => {
            let user = user::find(&flows, &user).await?;
            let page = flows.sessions(user.id, None, limit).await?;
            show_list(output, &page.items)?;
            if page.next.is_some() && !output.json {
                writeln!(output.err, "there are more: give a larger `--limit`")?;
            }
            Ok(())
        }
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
