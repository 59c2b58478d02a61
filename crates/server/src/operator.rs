//! Who runs a command.

use countersign_flows::Caller;

/// The operator, by the name of the system's account: behind `sudo`, of whoever called it.
pub(crate) fn caller() -> Caller {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .filter_map(|variable| std::env::var(variable).ok())
        .find(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()));
    // It goes into lists: nothing that could turn one around.
    let shown = name.chars().filter(|c| c.is_ascii_graphic() || *c == ' ');
    Caller::operator(shown.take(64).collect::<String>())
}
