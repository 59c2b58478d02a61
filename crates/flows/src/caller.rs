use std::net::IpAddr;

/// Who called, as far as the edge could tell. Kept with sessions, so that users can recognise
/// them.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The `User-Agent`, cut to a length that a list can show.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: String,
}
