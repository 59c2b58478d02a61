use std::net::IpAddr;

use countersign_domain::address::AddressBlock;

/// Who called, as far as the edge could tell. Kept with sessions, so that users can recognise
/// them.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// What it presented as a device token, unchecked.
    pub device: Option<String>,
    /// The `User-Agent`, cut to a length that a list can show.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: String,
    /// The name of the operator whose command this is.
    pub operator: Option<String>,
}

impl Caller {
    /// An operator at the command line, by the name of the system's account.
    pub fn operator(name: impl Into<String>) -> Self {
        Self {
            operator: Some(name.into()),
            ..Self::default()
        }
    }

    /// The server by itself.
    pub fn server() -> Self {
        Self::default()
    }

    /// The addresses that count as this caller's.
    pub(crate) fn block(&self) -> AddressBlock {
        self.ip.map_or(AddressBlock::None, AddressBlock::of)
    }
}
