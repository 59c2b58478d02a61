//! `countersign user …`.

use std::io::{IsTerminal, stdin};

use countersign_domain::UserId;
use countersign_domain::email::{Email, EmailKey};
use countersign_flows::{CreateUser, Flows};
use countersign_store::{User, UserChange};
use serde_json::{Value, json};

use super::{Output, password};
use crate::cli::UserCommand;
use crate::failure::Failure;
use crate::operator;
use crate::output;

pub(super) async fn run(
    flows: &Flows,
    command: UserCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let operator = operator::caller();
    let users = flows.users(&operator);
    match command {
        UserCommand::Create {
            email,
            name,
            roles,
            password: source,
            no_password,
        } => {
            let password = match no_password {
                true => None,
                false => Some(password::read(source)?),
            };
            let new = CreateUser {
                email: &email,
                password: password.as_ref().map(|password| password.as_str()),
                name: name.as_deref(),
                roles,
                ..CreateUser::default()
            };
            let user = users.create(new).await?;
            show(output, &user)
        }
        UserCommand::List { limit, after } => {
            let list = users.list(after.map(UserId), limit).await?;
            show_list(output, &list, limit)
        }
        UserCommand::Show { user } => {
            let user = find(flows, &user).await?;
            show(output, &user)
        }
        UserCommand::Update {
            user,
            name,
            roles,
            no_roles,
            email,
        } => {
            let user = find(flows, &user).await?;
            let email = email.map(|email| new_address(&email)).transpose()?;
            let change = UserChange {
                name: name.map(|name| Some(name).filter(|name| !name.is_empty())),
                roles: (no_roles || !roles.is_empty()).then_some(roles),
                email,
                disabled: None,
            };
            let user = users.update(user.id, change).await?;
            show(output, &user)
        }
        UserCommand::Disable { user } => set_disabled(flows, &user, true, output).await,
        UserCommand::Enable { user } => set_disabled(flows, &user, false, output).await,
        UserCommand::Delete { user, yes } => {
            let user = find(flows, &user).await?;
            if !yes {
                confirm(output, &user)?;
            }
            users.delete(user.id).await?;
            say(
                output,
                json!({"deleted": user.id}),
                "deleted, with all sessions",
            )
        }
        UserCommand::SetPassword {
            user,
            password: source,
        } => {
            let user = find(flows, &user).await?;
            users
                .set_password(user.id, &password::read(source)?)
                .await?;
            say(
                output,
                json!({"user": user.id}),
                "password set; all sessions ended",
            )
        }
        UserCommand::SignOut { user } => {
            let user = find(flows, &user).await?;
            let ended = users.sign_out(user.id).await?.unwrap_or(0);
            say(
                output,
                json!({"ended": ended}),
                &format!("ended {ended} sessions"),
            )
        }
    }
}

/// The user whom an operator means by an id or an e-mail address.
pub(super) async fn find(flows: &Flows, user: &str) -> Result<User, Failure> {
    let found = match user.parse::<UserId>() {
        Ok(id) => flows
            .users(&operator::caller())
            .get(id)
            .await?
            .map(|user| (*user).clone()),
        Err(_) => flows.users(&operator::caller()).get_by_email(user).await?,
    };
    found.ok_or_else(|| {
        Failure::new(
            "there is no such user: give an id or an e-mail address, as in `countersign user list`",
        )
    })
}

fn new_address(raw: &str) -> Result<(String, EmailKey), Failure> {
    let email = Email::parse(raw)
        .map_err(|_| Failure::new(format!("not an e-mail address: `{}`", raw.escape_debug())))?;
    Ok((email.as_typed().to_owned(), email.key().clone()))
}

async fn set_disabled(
    flows: &Flows,
    user: &str,
    disabled: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let user = find(flows, user).await?;
    let change = UserChange {
        disabled: Some(disabled),
        ..UserChange::default()
    };
    let user = flows
        .users(&operator::caller())
        .update(user.id, change)
        .await?;
    show(output, &user)
}

fn confirm(output: &mut Output<'_>, user: &User) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::new(
            "there is nobody to ask: use `--yes` to delete without a question",
        ));
    }
    write!(
        output.err,
        "Delete {} ({}) and everything that belongs to it? [y/N] ",
        user.email, user.id
    )?;
    output.err.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was deleted")),
    }
}

fn say(output: &mut Output<'_>, value: Value, text: &str) -> Result<(), Failure> {
    match output.json {
        true => output::json(output.out, &value)?,
        false => writeln!(output.out, "{text}")?,
    }
    Ok(())
}

fn show(output: &mut Output<'_>, user: &User) -> Result<(), Failure> {
    if output.json {
        return Ok(output::json(output.out, &as_json(user))?);
    }
    let fields = [
        ("id", user.id.to_string()),
        ("email", user.email.clone()),
        ("verified", output::optional_time(user.email_verified_at)),
        ("name", user.name.clone().unwrap_or_else(|| "-".to_owned())),
        ("roles", or_dash(&user.roles)),
        ("disabled", output::optional_time(user.disabled_at)),
        ("created", output::time(user.created_at)),
        ("updated", output::time(user.updated_at)),
        ("last sign-in", output::optional_time(user.last_sign_in_at)),
    ];
    Ok(output::fields(output.out, &fields)?)
}

fn show_list(output: &mut Output<'_>, users: &[User], limit: u32) -> Result<(), Failure> {
    let more = users.last().filter(|_| users.len() == limit as usize);
    if output.json {
        let items: Vec<Value> = users.iter().map(as_json).collect();
        let next = more.map(|user| user.id);
        return Ok(output::json(
            output.out,
            &json!({"items": items, "next_after": next}),
        )?);
    }
    let row = |user: &User| {
        let state = if user.disabled_at.is_some() {
            "disabled"
        } else {
            "enabled"
        };
        vec![
            user.id.to_string(),
            user.email.clone(),
            user.name.clone().unwrap_or_else(|| "-".to_owned()),
            or_dash(&user.roles),
            state.to_owned(),
            output::time(user.created_at),
        ]
    };
    let rows: Vec<Vec<String>> = users.iter().map(row).collect();
    output::table(
        output.out,
        &["id", "email", "name", "roles", "state", "created"],
        &rows,
    )?;
    if let Some(last) = more {
        writeln!(
            output.err,
            "there may be more: `countersign user list --after {}`",
            last.id
        )?;
    }
    Ok(())
}

fn or_dash(roles: &[String]) -> String {
    match roles.is_empty() {
        true => "-".to_owned(),
        false => roles.join(","),
    }
}

fn as_json(user: &User) -> Value {
    json!({
        "id": user.id,
        "email": user.email,
        "email_verified": user.email_verified_at.is_some(),
        "name": user.name,
        "roles": user.roles,
        "disabled": user.disabled_at.is_some(),
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "last_sign_in_at": user.last_sign_in_at,
    })
}
