//! `countersign keys …`.

use countersign_flows::keys::KeyView;
use countersign_flows::{Flows, Rotation};
use serde_json::{Value, json};

use super::Output;
use crate::cli::KeysCommand;
use crate::failure::Failure;
use crate::operator;
use crate::output;

pub(super) async fn run(
    flows: &Flows,
    command: KeysCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let rotation = match command {
        KeysCommand::List => {
            let keys = flows.signing_keys().await?;
            return show(output, &keys);
        }
        KeysCommand::Rotate { emergency: false } => Rotation::Scheduled,
        KeysCommand::Rotate { emergency: true } => Rotation::Emergency,
    };
    let Some(signs_at) = flows.rotate_keys(rotation, &operator::caller()).await? else {
        return Err(Failure::new(
            "under HS256 the key is a setting: change `JWT_SECRET` on every instance",
        ));
    };
    if output.json {
        return Ok(output::json(output.out, &json!({"signs_at": signs_at}))?);
    }
    match rotation {
        Rotation::Scheduled => writeln!(
            output.out,
            "published a new key; it signs from {} on, and the old ones verify until their last token has expired",
            output::time(signs_at)
        )?,
        Rotation::Emergency => writeln!(
            output.out,
            "the new key signs from now on; within a second every access token from before is refused, and everybody has to sign in again"
        )?,
    }
    Ok(())
}

fn show(output: &mut Output<'_>, keys: &[KeyView]) -> Result<(), Failure> {
    if output.json {
        let items: Vec<Value> = keys.iter().map(as_json).collect();
        return Ok(output::json(output.out, &json!({"items": items}))?);
    }
    if keys.is_empty() {
        writeln!(
            output.err,
            "there are no stored keys: under HS256 the key is `JWT_SECRET`"
        )?;
    }
    let row = |key: &KeyView| {
        vec![
            key.kid.clone(),
            key.algorithm.clone(),
            key.status.as_str().to_owned(),
            output::time(key.created_at),
            output::time(key.activates_at),
            output::optional_time(key.expires_at),
        ]
    };
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    let headings = [
        "kid",
        "algorithm",
        "status",
        "created",
        "signs from",
        "verifies until",
    ];
    Ok(output::table(output.out, &headings, &rows)?)
}

fn as_json(key: &KeyView) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "status": key.status.as_str(),
        "created_at": key.created_at,
        "activates_at": key.activates_at,
        "expires_at": key.expires_at,
    })
}
