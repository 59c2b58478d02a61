//! `countersign service-key …`.

use countersign_flows::{CreateServiceKeyError, Flows};
use countersign_store::ServiceKeyRecord;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Output;
use crate::cli::ServiceKeyCommand;
use crate::failure::Failure;
use crate::operator;
use crate::output;

pub(super) async fn run(
    flows: &Flows,
    command: ServiceKeyCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        ServiceKeyCommand::Create {
            name,
            mut scopes,
            expires,
        } => {
            scopes.sort_unstable();
            scopes.dedup();
            let caller = operator::caller();
            let made = flows
                .create_service_key(&name, &scopes, expires, &caller)
                .await;
            let (new, key) = made?;
            if output.json {
                let answer = json!({
                    "id": new.id,
                    "name": new.name,
                    "key": key.expose(),
                    "scopes": new.scopes,
                    "expires_at": new.expires_at,
                });
                return Ok(output::json(output.out, &answer)?);
            }
            // The key alone where a program reads it.
            writeln!(output.out, "{}", key.expose())?;
            Ok(writeln!(
                output.err,
                "this is the only time that the key is shown: keep it where secrets are kept"
            )?)
        }
        ServiceKeyCommand::List => show(output, &flows.service_keys().await?, flows.now()),
        ServiceKeyCommand::Revoke { key } => {
            let revoked = flows.revoke_service_key(&key, &operator::caller()).await?;
            let Some(revoked) = revoked else {
                return Err(Failure::new(
                    "there is no such service key, or it is revoked already: see `countersign service-key list`",
                ));
            };
            if output.json {
                return Ok(output::json(output.out, &json!({"revoked": revoked.id}))?);
            }
            Ok(writeln!(
                output.out,
                "revoked; it is refused, and what it has open ends, within a second"
            )?)
        }
    }
}

fn state(key: &ServiceKeyRecord, now: Timestamp) -> &'static str {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(at)) if at <= now => "expired",
        _ => "live",
    }
}

fn show(output: &mut Output<'_>, keys: &[ServiceKeyRecord], now: Timestamp) -> Result<(), Failure> {
    if output.json {
        let items: Vec<Value> = keys.iter().map(|key| as_json(key, now)).collect();
        return Ok(output::json(output.out, &json!({"items": items}))?);
    }
    let row = |key: &ServiceKeyRecord| {
        vec![
            key.id.to_string(),
            key.name.clone(),
            key.scopes.join(" "),
            state(key, now).to_owned(),
            output::time(key.created_at),
            output::optional_time(key.expires_at),
            output::optional_time(key.revoked_at),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    let headings = [
        "id", "name", "scopes", "state", "created", "expires", "revoked",
    ];
    Ok(output::table(output.out, &headings, &rows)?)
}

fn as_json(key: &ServiceKeyRecord, now: Timestamp) -> Value {
    json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "state": state(key, now),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    })
}

impl From<CreateServiceKeyError> for Failure {
    fn from(error: CreateServiceKeyError) -> Self {
        match error {
            CreateServiceKeyError::Fault(fault) => fault.into(),
            error => Self::new(error.to_string()),
        }
    }
}
