use countersign_domain::limits::Rule;

/// Which limits are in force. `None` switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitPolicy {
    /// Wrong passwords: per client address, per known device, and per session where a signed-in
    /// user is asked for the password again.
    pub login: Option<Rule>,
    /// Wrong passwords per account, from wherever they come.
    pub account: Option<Rule>,
    /// Registrations per client address.
    pub register: Option<Rule>,
    /// Refreshes per client address.
    pub refresh: Option<Rule>,
    /// Everything else that takes a token, per client address.
    pub other: Option<Rule>,
    /// Where sign-ins and registrations are counted.
    pub shared: Counting,
}

/// Where sign-ins and registrations are counted. The generous limits are always counted in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// In the memory of this instance: right where there is only one.
    #[default]
    InMemory,
    /// In the store, for all instances together; in memory while the store does not answer.
    InStore,
}
