//! Who may administer.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::bearer::Bearer;
use crate::edge::Edge;
use crate::problem::{FORBIDDEN, Problem};

/// A caller with the role `admin`: as it is stored now, not as the access token says.
pub(crate) struct Admin;

impl FromRequestParts<Edge> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, edge: &Edge) -> Result<Self, Problem> {
        let Bearer(who) =
            <Bearer as FromRequestParts<Edge>>::from_request_parts(parts, edge).await?;
        let user = edge.flows.profile(&who).await?;
        match user.roles.iter().any(|role| role == "admin") {
            true => Ok(Self),
            false => Err(Problem::from(&FORBIDDEN)),
        }
    }
}
