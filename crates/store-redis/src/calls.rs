//! Calls of the scripts, and what they answer, in types.

use countersign_domain::SessionId;
use countersign_domain::limits::{Return, Rule, Taken, Tally};
use countersign_domain::refresh_token::Presented;
use countersign_domain::rotation::{RotationPolicy, SessionState};
use countersign_store::LimitKey;
use jiff::{SignedDuration, Timestamp};
use redis::Cmd;

use crate::entry::{self, Entry, Token};
use crate::names::Names;
use crate::scripts::Scripts;

/// Keys outlive what they stand for by so much: the clocks of instances and of Redis differ.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// A key that was leased and not filled is free again after so long.
const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// For how long Redis remembers that a session ended. After that the database is asked again.
const TOMBSTONE: SignedDuration = SignedDuration::from_hours(24);

/// Numbers in Lua are exact up to 2^53; no duration in a setting comes near.
const LONGEST: i64 = 1 << 51;

/// One epoch's names and scripts.
pub(crate) struct Calls {
    pub(crate) names: Names,
    pub(crate) scripts: Scripts,
}

impl Calls {
    pub(crate) fn new(names: Names) -> Self {
        let scripts = Scripts::of(&names.epoch());
        Self { names, scripts }
    }

    /// Decides about a refresh token. `new`: for a lease, where nothing is known. `filling`: the session as the
    /// database has it, and the token under which the key was leased before it was read.
    pub(crate) fn refresh(
        &self,
        presented: Presented,
        policy: &RotationPolicy,
        now: Timestamp,
        new: &Token,
        filling: Option<&(Token, Entry)>,
    ) -> Cmd {
        let mut call = self
            .scripts
            .refresh
            .on(&self.names.session(presented.session));
        call.arg(new.as_slice())
            .arg(presented.generation)
            .arg(now.as_microsecond())
            .arg(micros(policy.grace))
            .arg(micros(policy.idle))
            .arg(millis(MARGIN))
            .arg(millis(LEASE))
            .arg(filling.map_or(&[][..], |(token, _)| token))
            .arg(filling.map(|(_, entry)| entry.write()).unwrap_or_default());
        call
    }

    /// Leases the key of a session that is about to be opened.
    pub(crate) fn lease(&self, id: SessionId, token: &Token) -> Cmd {
        let mut set = redis::cmd("SET");
        set.arg(self.names.session(id))
            .arg([b"F", token.as_slice()].concat())
            .arg("PX")
            .arg(millis(LEASE));
        set
    }

    /// Makes the session live whose key was leased under `token`.
    pub(crate) fn open(&self, id: SessionId, token: &Token, entry: &Entry, now: Timestamp) -> Cmd {
        let mut call = self.scripts.open.on(&self.names.session(id));
        call.arg(token.as_slice())
            .arg(entry.write())
            .arg(now.as_microsecond())
            .arg(millis(MARGIN));
        call
    }

    /// Tells of a rotation that happened in the database.
    pub(crate) fn raise(&self, id: SessionId, state: &SessionState) -> Cmd {
        let mut call = self.scripts.raise.on(&self.names.session(id));
        call.arg(state.generation)
            .arg(state.rotated_at.as_microsecond())
            .arg(state.idle_expires_at.as_microsecond())
            .arg(state.rotated_at.as_microsecond())
            .arg(millis(MARGIN));
        call
    }

    /// Has the facts of a session read again.
    pub(crate) fn stale(&self, id: SessionId) -> Cmd {
        self.scripts.stale.on(&self.names.session(id))
    }

    /// Writes over the key that the session has ended.
    pub(crate) fn bury(&self, id: SessionId) -> Cmd {
        let mut set = redis::cmd("SET");
        set.arg(self.names.session(id))
            .arg(entry::TOMBSTONE)
            .arg("PX")
            .arg(millis(TOMBSTONE));
        set
    }

    /// Makes Redis know nothing of a session. Works also where Redis is full.
    pub(crate) fn forget(&self, id: SessionId) -> Cmd {
        let mut del = redis::cmd("DEL");
        del.arg(self.names.session(id));
        del
    }

    /// Reads what is under the key.
    pub(crate) fn look(&self, id: SessionId) -> Cmd {
        let mut get = redis::cmd("GET");
        get.arg(self.names.session(id));
        get
    }

    pub(crate) fn take(&self, key: LimitKey, rule: &Rule, now: Timestamp) -> Cmd {
        let mut call = self.scripts.take.on(&self.names.limit(key));
        call.arg(now.as_microsecond());
        describe(&mut call, rule);
        call
    }

    pub(crate) fn give_back(
        &self,
        key: LimitKey,
        rule: &Rule,
        taken_until: Timestamp,
        why: Return,
        now: Timestamp,
    ) -> Cmd {
        let mut call = self.scripts.give_back.on(&self.names.limit(key));
        call.arg(now.as_microsecond());
        describe(&mut call, rule);
        call.arg(taken_until.as_microsecond())
            .arg(u8::from(why == Return::Right));
        call
    }
}

/// Adds the rule's five arguments.
fn describe(call: &mut Cmd, rule: &Rule) {
    match *rule {
        Rule::Window { limit, window } => {
            call.arg("W").arg(limit).arg(micros(window)).arg(0).arg(0);
        }
        Rule::Backoff {
            free,
            first,
            longest,
            forget,
        } => {
            call.arg("B")
                .arg(free)
                .arg(micros(first))
                .arg(micros(longest))
                .arg(micros(forget));
        }
    }
}

/// Reads what `take.lua` answers.
pub(crate) fn read_taken(bytes: &[u8], rule: &Rule) -> Option<Taken> {
    let time = |bytes: &[u8]| {
        let micros = i64::from_be_bytes(bytes.try_into().ok()?);
        Timestamp::from_microsecond(micros).ok()
    };
    match bytes.split_first()? {
        (b'N', until) => Some(Taken::Refused {
            retry_at: time(until)?,
        }),
        (b'Y', tally) => {
            let (count, times) = tally.split_first_chunk::<4>()?;
            let (until, lapses_at) = times.split_at_checked(8)?;
            let count = u32::from_be_bytes(*count);
            let tally = Tally {
                count,
                until: time(until)?,
                lapses_at: time(lapses_at)?,
            };
            let remaining = rule.quota().saturating_sub(count);
            Some(Taken::Admitted { tally, remaining })
        }
        _ => None,
    }
}

fn micros(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_micros())
        .unwrap_or(LONGEST)
        .clamp(0, LONGEST)
}

fn millis(duration: SignedDuration) -> i64 {
    micros(duration) / 1000
}
