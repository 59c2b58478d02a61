use std::io::{BufRead, stdin};

use zeroize::Zeroizing;

use crate::cli::PasswordSource;
use crate::failure::Failure;

/// Asks for a new password twice, without showing it, or reads it from standard input.
pub(super) fn read(source: PasswordSource) -> Result<Zeroizing<String>, Failure> {
    if source.password_stdin {
        let mut line = Zeroizing::new(String::new());
        stdin().lock().read_line(&mut line)?;
        let password = line.trim_end_matches(['\r', '\n']);
        return Ok(Zeroizing::new(password.to_owned()));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            Failure::new(format!("there is no terminal to ask for the password on ({error}): use `--password-stdin`"))
        })
    };
    let password = ask("Password: ")?;
    match password == ask("Once more: ")? {
        true => Ok(password),
        false => Err(Failure::new("the two passwords differ")),
    }
}
