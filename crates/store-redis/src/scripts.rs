//! The Lua scripts, each on exactly one key.
//!
//! Every script begins with the name of the epoch, so its hash belongs to the epoch, and scripts
//! are loaded only by whoever has just made sure that the servers hold what that epoch left there.
//! A server that does not know them (`NOSCRIPT`) was restarted or promoted in the meantime: scripts are neither saved nor
//! replicated, while the data that such a server has may be old.

use redis::{Cmd, Script};

/// The first words of `refresh.lua`'s and others' arguments, and who knows them.
pub(crate) struct Scripts {
    pub(crate) refresh: Loaded,
    pub(crate) open: Loaded,
    pub(crate) raise: Loaded,
    pub(crate) stale: Loaded,
    pub(crate) take: Loaded,
    pub(crate) give_back: Loaded,
}

pub(crate) struct Loaded {
    sha: String,
    text: String,
}

const STATE: &str = include_str!("lua/state.lua");
const RULE: &str = include_str!("lua/rule.lua");

impl Scripts {
    pub(crate) fn of(epoch: &str) -> Self {
        let load = |prelude: &str, body: &str| {
            let text = format!("-- {epoch}\n{prelude}\n{body}");
            let sha = Script::new(&text).get_hash().to_owned();
            Loaded { sha, text }
        };
        Self {
            refresh: load(STATE, include_str!("lua/refresh.lua")),
            open: load(STATE, include_str!("lua/open.lua")),
            raise: load(STATE, include_str!("lua/raise.lua")),
            stale: load(STATE, include_str!("lua/stale.lua")),
            take: load(RULE, include_str!("lua/take.lua")),
            give_back: load(RULE, include_str!("lua/give_back.lua")),
        }
    }

    fn all(&self) -> [&Loaded; 6] {
        [
            &self.refresh,
            &self.open,
            &self.raise,
            &self.stale,
            &self.take,
            &self.give_back,
        ]
    }

    /// Asks whether a server knows them all; it answers a list of yes and no.
    pub(crate) fn known(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("EXISTS");
        for script in self.all() {
            command.arg(&script.sha);
        }
        command
    }

    /// Makes a server know them.
    pub(crate) fn teach(&self) -> Vec<Cmd> {
        let scripts = self.all().into_iter();
        scripts
            .map(|script| {
                let mut command = redis::cmd("SCRIPT");
                command.arg("LOAD").arg(&script.text);
                command
            })
            .collect()
    }
}

impl Loaded {
    /// A call of the script on a key; arguments follow.
    pub(crate) fn on(&self, key: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.sha).arg(1).arg(key);
        command
    }
}
